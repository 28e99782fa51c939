package build_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"minato.dev/minato/internal/build"
)

// environment is what lookups see.
func environment(key string) (string, bool) {
	v, ok := map[string]string{"HTTP_PROXY": "http://proxy", "TOKEN": "secret", "EMPTY": ""}[key]
	return v, ok
}

func TestParseArgs(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  map[string]string
		bad   string
	}{
		{nil, map[string]string{}, ""},
		{[]string{"A=1", "B=x=y", "C="}, map[string]string{"A": "1", "B": "x=y", "C": ""}, ""},
		{[]string{"HTTP_PROXY", "EMPTY", "UNSET"}, map[string]string{"HTTP_PROXY": "http://proxy", "EMPTY": ""}, ""},
		{[]string{"A=1", "A=2"}, map[string]string{"A": "2"}, ""},
		{[]string{"=1"}, nil, "write KEY=VALUE"},
	} {
		got, err := build.ParseArgs(c.words, environment)
		if said(t, err, c.bad, c.words) && !maps.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.words, got, c.want)
		}
	}
}

// said compares an error with the text it must have, and reports whether there was none.
func said(t *testing.T, err error, want string, of any) bool {
	t.Helper()
	if want == "" && err == nil {
		return true
	}
	if want == "" || err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, build.ErrOrder) {
		t.Errorf("%q: error %v, want %q", of, err, want)
	}
	return false
}

func TestParseSecret(t *testing.T) {
	for _, c := range []struct {
		word string
		want build.Secret
		bad  string
	}{
		{"id=a,src=/x/y", build.Secret{ID: "a", Src: "/x/y"}, ""},
		{"id=a,source=y", build.Secret{ID: "a", Src: "y"}, ""},
		{`id=a,"src=with,comma"`, build.Secret{ID: "a", Src: "with,comma"}, ""},
		{"id=a,env=TOKEN", build.Secret{ID: "a", Env: "TOKEN"}, ""},
		{"type=env,id=a,src=TOKEN", build.Secret{ID: "a", Env: "TOKEN"}, ""},
		{"id=TOKEN", build.Secret{ID: "TOKEN", Env: "TOKEN"}, ""},
		{"type=file,id=TOKEN", build.Secret{ID: "TOKEN", Src: "TOKEN"}, ""},
		{"id=npmrc", build.Secret{ID: "npmrc", Src: "npmrc"}, ""},
		{"src=x", build.Secret{}, "write id=ID,src=FILE"},
		{"id=a,src=x,env=TOKEN", build.Secret{}, "from a file (src=) or from a variable"},
		{"id=a,type=ssh", build.Secret{}, "from a file"},
		{"id=a,mode=0400", build.Secret{}, "mode is none of"},
		{"token", build.Secret{}, "no key=value"},
		{"", build.Secret{}, "secret"},
	} {
		got, err := build.ParseSecret(c.word, environment)
		if said(t, err, c.bad, c.word) && got != c.want {
			t.Errorf("%q: %+v, want %+v", c.word, got, c.want)
		}
	}
}

func TestParseOutput(t *testing.T) {
	for _, c := range []struct {
		word string
		want build.Output
		bad  string
	}{
		{"type=oci,dest=a.tar", build.Output{Type: "oci", Dest: "a.tar"}, ""},
		{"dest=-,type=docker", build.Output{Type: "docker", Dest: "-"}, ""},
		{"type=oci", build.Output{}, "dest=FILE"},
		{"a.tar", build.Output{}, "no key=value"},
		{"type=registry,dest=x", build.Output{}, "type is oci or docker"},
		{"type=oci,dest=x,tar=false", build.Output{}, "tar is neither type nor dest"},
	} {
		got, err := build.ParseOutput(c.word)
		if said(t, err, c.bad, c.word) && got != c.want {
			t.Errorf("%q: %+v, want %+v", c.word, got, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for word, want := range map[string]int64{"0": 0, "12": 12, "500M": 500e6, "2G": 2e9, "1.5GiB": 3 << 29, "4KB": 4000, "8KiB": 8192} {
		if got, err := build.ParseSize(word); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", word, got, err, want)
		}
	}
	for _, word := range []string{"", "G", "-1", "1T", "1e30G", "NaN", "Inf"} {
		if got, err := build.ParseSize(word); err == nil {
			t.Errorf("%q: %d and no error", word, got)
		}
	}
}

func TestCheckPlatform(t *testing.T) {
	said(t, build.CheckPlatform(""), "", "")
	said(t, build.CheckPlatform(build.HostPlatform()), "", "host")
	said(t, build.CheckPlatform("linux/s390x"), "this machine builds for linux/", "s390x")
	said(t, build.CheckPlatform(build.HostPlatform()+",linux/s390x"), "platform", "two")
}

func TestOrder(t *testing.T) {
	place := build.Place{State: "/s", Run: "/r", Shim: "/m", Socket: "/k", Cgroup: "/c"}
	ok := build.Build{Context: "/ctx", Names: []string{"a"}}
	with := func(f func(*build.Build)) *build.Build { b := ok; f(&b); return &b }
	for _, c := range []struct {
		order build.Order
		bad   string
	}{
		{build.Order{Place: place, Build: &ok}, ""},
		{build.Order{Place: place, Prune: &build.Prune{}}, ""},
		{build.Order{Place: place}, "either a build or a prune"},
		{build.Order{Place: place, Build: &ok, Prune: &build.Prune{}}, "either a build or a prune"},
		{build.Order{Build: &ok}, "the place is incomplete"},
		{build.Order{Place: place, Build: with(func(b *build.Build) { b.Context = "" })}, "name a context"},
		{build.Order{Place: place, Build: with(func(b *build.Build) { b.Context, b.File = "-", "-" })}, "cannot both come from standard input"},
		{build.Order{Place: place, Build: with(func(b *build.Build) { b.Names = nil })}, "name the image with -t"},
		{build.Order{Place: place, Build: with(func(b *build.Build) { b.Names, b.Outputs = nil, []build.Output{{Type: "oci", Dest: "/x"}} })}, ""},
		{build.Order{Place: place, Build: with(func(b *build.Build) { b.Network = "bridge" })}, "host's network (host) or in none"},
		{build.Order{Place: place, Build: with(func(b *build.Build) { b.Progress = "fancy" })}, "auto, plain, tty or quiet"},
	} {
		text, err := json.Marshal(c.order)
		if err != nil {
			t.Fatal(err)
		}
		got, err := build.Decode(string(text))
		if said(t, err, c.bad, string(text)) && !reflect.DeepEqual(got, c.order) {
			t.Errorf("%s came back as %+v", text, got)
		}
	}
	_, err := build.Decode("no order")
	said(t, err, "invalid", "no order")
	said(t, build.Exec("/bin/false", build.Order{}), "either a build or a prune", "exec")
}

func TestAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll("ctx", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ctx/Dockerfile", "token"} {
		if err := os.WriteFile(name, []byte("FROM scratch\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	b := build.Build{Context: "ctx", File: "ctx/Dockerfile", Secrets: []build.Secret{{ID: "a", Src: "token"}, {ID: "b", Env: "X"}},
		Outputs: []build.Output{{Type: "oci", Dest: "new.tar"}, {Type: "oci", Dest: "-"}}}
	said(t, b.Absolute(), "", "all there")
	want := build.Build{Context: at("ctx"), File: at("ctx/Dockerfile"), Secrets: []build.Secret{{ID: "a", Src: at("token")}, {ID: "b", Env: "X"}},
		Outputs: []build.Output{{Type: "oci", Dest: at("new.tar")}, {Type: "oci", Dest: "-"}}}
	if !reflect.DeepEqual(b, want) {
		t.Errorf("%+v, want %+v", b, want)
	}
	b = build.Build{Context: "-", File: "in/the/archive"}
	said(t, b.Absolute(), "", "archive")
	if b.File != "in/the/archive" {
		t.Errorf("file %q", b.File)
	}
	for _, c := range []struct {
		b   build.Build
		bad string
	}{
		{build.Build{Context: "nowhere"}, "context: stat nowhere"},
		{build.Build{Context: "token"}, "is no directory"},
		{build.Build{Context: "ctx", File: "none"}, "Dockerfile: stat none"},
		{build.Build{Context: "ctx", File: "ctx"}, "is a directory"},
		{build.Build{Context: "ctx", Secrets: []build.Secret{{ID: "a", Src: "none"}}}, "secret a: stat none"},
	} {
		said(t, c.b.Absolute(), c.bad, c.b)
	}
}
