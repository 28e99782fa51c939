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
	shown := func(v Volume) string {
		return fmt.Sprint(v, map[bool]string{true: " ro"}[v.ReadOnly], map[bool]string{true: " anonymous"}[v.Anonymous], map[bool]string{true: " nocopy"}[v.NoCopy], map[bool]string{true: " in memory"}[v.Memory], " "+v.Propagation+v.Options)
	}
	volume := func(s string) (any, error) { v, err := ParseVolume(s); return strings.TrimSpace(shown(v)), err }
	tmpfs := func(s string) (any, error) { v, err := ParseTmpfs(s); return strings.TrimSpace(shown(v)), err }
	mount := func(s string) (any, error) { v, err := ParseMount(s); return strings.TrimSpace(shown(v)), err }
	size := func(s string) (any, error) { n, err := ParseSize(s); return n, err }
	restart := func(s string) (any, error) { r, err := ParseRestart(s); return fmt.Sprint(r, " ", r.Most), err }
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
		{volume, "/a:/b", "/a:/b"},
		{volume, "/a:/b:ro", "/a:/b ro"},
		{volume, ".:/b:rw", wd + ":/b"},
		{volume, "./x:/b:ro,rslave", wd + "/x:/b ro rslave"},
		{volume, "data:/b", "data:/b"},
		{volume, "data:/b:nocopy", "data:/b nocopy"},
		{volume, "/b", "/b anonymous"},
		{volume, "/a:/b:nocopy", "option nocopy is for volumes with a name"},
		{volume, "a/b:/b", "neither a path that begins with / or ./ nor a name"},
		{volume, "a:b:c:d", "must be HOST:CONTAINER"},
		{volume, "/a:b", "must be an absolute path"},
		{volume, "/a:/", "must be an absolute path other than /"},
		{volume, "/a:/b:z", `option "z"`},
		{volume, "a", "must be an absolute path"},
		{mount, "type=bind,source=/a,target=/b,readonly", "/a:/b ro"},
		{mount, "src=data,dst=/b,volume-nocopy", "data:/b nocopy"},
		{mount, "type=volume,dst=/b", "/b anonymous"},
		{mount, "type=bind,source=a,target=/b", "must be an absolute path of this machine"},
		{mount, "source=/a,target=/b", "a path wants type=bind"},
		{mount, "type=npipe,target=/b", "must be bind, volume or tmpfs"},
		{mount, "type=tmpfs,target=/b,tmpfs-size=1m,tmpfs-mode=700,readonly", "/b ro in memory size=1m,mode=700"},
		{mount, "type=tmpfs,source=a,target=/b", "a tmpfs has no source"},
		{mount, "target=/b,tmpfs-size=1m", "are for type=tmpfs"},
		{tmpfs, "/b:size=1m", "/b in memory size=1m"},
		{tmpfs, "b", "must be an absolute path"},
		{mount, "type=bind,source=/a,target=/b,bind-propagation=up", "must be rprivate"},
		{mount, "destiny=/b", "is not understood"},
		{size, "64m", "67108864"},
		{size, "1.5g", "1610612736"},
		{size, "512KiB", "524288"},
		{size, "1048576", "1048576"},
		{size, "10b", "10"},
		{size, "lots", "must be a number with b, k, m or g"},
		{size, "99999999999t", "too large"},
		{restart, "", "no 0"},
		{restart, "no", "no 0"},
		{restart, "always", "always 0"},
		{restart, "unless-stopped", "always 0"},
		{restart, "on-failure", "on-failure 0"},
		{restart, "on-failure:3", "on-failure 3"},
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
		if v, err := ParseVolume(s); err == nil && (!v.named() && v.Host[0] != '/' || v.Container[0] != '/') {
			t.Errorf("%q: %+v", s, v)
		}
		if n, err := ParseSize(s); err == nil && n < 0 {
			t.Errorf("%q: %d", s, n)
		}
		_, _ = ParseRestart(s)
	})
}
