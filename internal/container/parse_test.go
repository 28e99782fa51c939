package container

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	port := func(s string) (any, error) { p, err := ParsePort(s); return p, err }
	volume := func(s string) (any, error) { v, err := ParseVolume(s); return v, err }
	size := func(s string) (any, error) { n, err := ParseSize(s); return n, err }
	restart := func(s string) (any, error) { r, err := ParseRestart(s); return r, err }
	capability := func(s string) (any, error) { c, err := ParseCapability(s); return c, err }
	name := func(s string) (any, error) { return s, CheckName(s) }
	for _, c := range []struct {
		parse    func(string) (any, error)
		in, want string // want: the value, or a part of the error
	}{
		{port, "8080:80", "0.0.0.0:8080->80/tcp"},
		{port, "127.0.0.1:53:5353/UDP", "127.0.0.1:53->5353/udp"},
		{port, "80", "must be [IP:]HOST:CONTAINER"},
		{port, "0:80", `"0" is not a number from 1 to 65535`},
		{port, "8080:70000", `"70000" is not a number`},
		{port, "8080:80/sctp", "must be [IP:]HOST:CONTAINER"},
		{port, "::1:80:80", "must be"},
		{port, "x:80:80", "no IPv4 address"},
		{volume, "/a:/b", "{/a /b false}"},
		{volume, "/a:/b:ro", "{/a /b true}"},
		{volume, ".:/b:rw", "{" + wd + " /b false}"},
		{volume, "data:/b", "named volumes are not built"},
		{volume, "/a", "must be HOST:CONTAINER"},
		{volume, "/a:b", "must be an absolute path"},
		{volume, "/a:/", "must be an absolute path other than /"},
		{volume, "/a:/b:z", `option "z"`},
		{size, "64m", "67108864"},
		{size, "1.5g", "1610612736"},
		{size, "512KiB", "524288"},
		{size, "1048576", "1048576"},
		{size, "10b", "10"},
		{size, "lots", "must be a number with b, k, m or g"},
		{size, "99999999999t", "too large"},
		{restart, "", "{false false 0}"},
		{restart, "no", "{false false 0}"},
		{restart, "always", "{true false 0}"},
		{restart, "unless-stopped", "{true false 0}"},
		{restart, "on-failure", "{false true 0}"},
		{restart, "on-failure:3", "{false true 3}"},
		{restart, "on-failure:-1", "must be no, always"},
		{restart, "sometimes", "must be no, always"},
		{capability, "cap_net_admin", "NET_ADMIN"},
		{capability, "", "must not be empty"},
		{name, "web-1", "web-1"},
		{name, "-web", "must be 1 to 63 letters"},
		{name, strings.Repeat("x", 64), "must be 1 to 63 letters"},
		{name, "../x", "must be 1 to 63 letters"},
	} {
		v, err := c.parse(c.in)
		got := fmt.Sprint(v)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"127.0.0.1:80:80/tcp", "/a:/b:ro", "1.5g", "on-failure:3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePort(s); err == nil && (p.Host == 0 || p.Container == 0) {
			t.Errorf("%q: %+v", s, p)
		}
		if v, err := ParseVolume(s); err == nil && (v.Host[0] != '/' || v.Container[0] != '/') {
			t.Errorf("%q: %+v", s, v)
		}
		if n, err := ParseSize(s); err == nil && n < 0 {
			t.Errorf("%q: %d", s, n)
		}
		_, _ = ParseRestart(s)
	})
}
