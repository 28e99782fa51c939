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
		"[host.\"https://b\"]\nskip_verify = true\noverride_path = true\nca = \"/x.pem\"":    "{ } https://b [] [/x.pem] true true 0s",
		"[host.\"https://b\"]\nclient = [[\"a\", \"b\"]]":                                    "{ } https://b [] [] false false 0s",
		"[host.\"https://b\"]\nclient = [[]]":                                                "host \"https://b\": client: must name one file",
		"[host.'https://b']\r\ndial_timeout = '1m30s' # enough\r\n":                          "{ } https://b [] [] false false 1m30s",
		"[host.\"https://b\"]\ndial_timeout = 5":                                             "{ } https://b [] [] false false 5s",
		"[host.\"https://b\"]\ndial_timeout = \"soon\"":                                      "host \"https://b\": dial_timeout: soon: must be a time",
		"[ host . \"https://b\" ]\ncapabilities = [ # these\n  'pull',\n  \"resolve\",\n]\n": "{ } https://b [pull resolve] [] false false 0s",
		"host.\"https://b\".ca = ['/x']\n[host.\"https://c\"]":                               "{ } https://b [] [/x] false false 0s https://c [] [] false false 0s",
		"host = {\"https://b\" = {skip_verify = true, header = {x = \"y\"}}}":                "{ } https://b [] [] true false 0s",
		"[plugins]\na = 1":               "plugins is not understood outside of",
		"server":                         "line 1: server: = and a value are missing",
		"server = 5":                     "server: must be a string",
		"\nserver = a":                   "line 2: server: \"a\" is no value that is understood: strings stand in quotes",
		"server = \"a":                   "line 1: server: the string does not end on its line",
		"server = \"a\" x":               "line 1: \"x\" is too much here",
		"server = \"a\"\nserver = \"b\"": "line 2: server is given twice",
		"[[host]]":                       "line 1: [[...]] is not understood",
		"x = [1, [2, 3]":                 "line 1: x: a list must go on with",
		"[host.\"https://b\"]\ncapabilities = [1]": "host \"https://b\": capabilities: must be a string or a list",
		"[host.\"https://b\"]\nretries = 1":        "host \"https://b\": retries: is not understood",
	} {
		f, err := parseHosts(text)
		got := fmt.Sprintf("{%s %s}", f.server, f.path)
		for _, h := range f.hosts {
			got += fmt.Sprintf(" %s %v %v %v %v %v", h.url, h.capabilities, h.trust.ca, h.trust.skipVerify, h.overridePath, h.dialTimeout)
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

// FuzzTOML: whatever a file holds, it is read or refused.
func FuzzTOML(f *testing.F) {
	for _, text := range []string{"a.\"b c\" = [1, 'x', {d = true}] # e\n[f]\ng=-1.5", "x = \"\\u00e9\"", "[", "a = [[[["} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseTOML(text)
		if err == nil && len(root.keys) != len(root.values) {
			t.Errorf("%q: %v", text, root)
		}
	})
}
