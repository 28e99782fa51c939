package image

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestMirrors(t *testing.T) {
	m := build(t, nil, gz, layer(t, file("a", "1")))
	var asked atomic.Int64
	mirror := fake(t, map[string]*made{"app:1": m}, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("ns") != "registry.example" || r.Header.Get("X-Team") != "blue" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked %s with %v", r.URL, r.Header)
		}
		asked.Add(1)
		return false
	})
	empty := fake(t, nil, nil)
	dir := t.TempDir()
	ok(t, os.Mkdir(filepath.Join(dir, "registry.example"), 0o700))
	text := fmt.Sprintf("server = \"http://%s\" # never asked\n[host.\"http://%s\"]\n  capabilities = [\"pull\", \"resolve\"]\n"+
		"[host.\"http://%s\"]\n[host.\"http://%s\".header]\n  x-team = \"blue\"\n", empty, empty, mirror, mirror)
	ok(t, os.WriteFile(filepath.Join(dir, "registry.example", "hosts.toml"), []byte(text), 0o600))
	s, err := Open(Config{Dir: t.TempDir(), HostsDir: dir})
	ok(t, err)
	i, err := s.Pull(t.Context(), PullRequest{Ref: "registry.example/app:1", Auth: &Auth{Username: "u", Password: "p"}})
	ok(t, err)
	if i.Names[0] != "registry.example/app:1" || asked.Load() != 3 {
		t.Errorf("%v after %d questions", i.Names, asked.Load())
	}
}

func TestHostsFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "{ }",
		"server = \"https://a\"": "{https://a }",
		"[host.\"https://b\"]\nskip_verify = true\noverride_path = true\nca = \"/x.pem\"": "{ } https://b [] [/x.pem] true true",
		"[host.\"https://b\"]\nclient = [[\"a\", \"b\"]]":                                 "{ } https://b [] [] false false",
		"[host.\"https://b\"]\nclient = [[]]":                                             "line 2: client: must name one file",
		"[host.\"https://b\"]\ndial_timeout = \"1s\"":                                     "line 2: dial_timeout: is not built",
		"[plugins]":  "line 1: section [plugins] is not understood",
		"server":     "line 1: \"server\" is no key = value",
		"server = 5": "line 1: server: json",
		"[host.\"https://b\"]\ncapabilities = [1]": "line 2: capabilities: json",
	} {
		f, err := parseHosts(text)
		got := fmt.Sprintf("{%s %s}", f.server, f.path)
		for _, h := range f.hosts {
			got += fmt.Sprintf(" %s %v %v %v %v", h.url, h.capabilities, h.trust.ca, h.trust.skipVerify, h.overridePath)
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	s := &Store{}
	if _, err := s.mirror(hostsEntry{url: "http://mirror.example"}, ""); err == nil {
		t.Error("a plain mirror elsewhere was accepted")
	}
}
