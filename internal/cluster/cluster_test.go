package cluster

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"defaults":        {Config{}, ""},
		"port":            {Config{Port: 70000}, "--port 70000: must be between 1 and 65535"},
		"node name":       {Config{NodeName: "A_b"}, `--node-name "A_b"`},
		"bind address":    {Config{BindAddress: "here"}, `--bind-address "here": must be an IP address`},
		"loopback node":   {Config{NodeIP: "127.0.0.1"}, "--node-ip"},
		"range unaligned": {Config{PodCIDR: "10.1.2.3/16"}, "--pod-cidr"},
		"range too small": {Config{ServiceCIDR: "10.1.2.0/26"}, "at least 256 addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.cfg.Complete()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestChooseTakesTheFirstFreeRange(t *testing.T) {
	p := netip.MustParsePrefix
	got, n, err := choose("", "pod", podRanges(), []netip.Prefix{p("10.244.3.0/24"), p("10.0.0.0/20")})
	if err != nil || got != p("10.245.0.0/16") || n != 1 {
		t.Errorf("%v %d %v", got, n, err)
	}
	if _, _, err := choose("10.244.0.0/16", "pod", nil, []netip.Prefix{p("10.244.3.0/24")}); err == nil || !strings.Contains(err.Error(), "--pod-cidr") {
		t.Errorf("a taken range was given: %v", err)
	}
}

func TestIdentityAddresses(t *testing.T) {
	id := Identity{ID: "x", PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12")}
	if id.ServiceIP().String() != "10.96.0.1" || id.DNSIP().String() != "10.96.0.10" || id.nodeCIDR().String() != "10.244.0.0/24" {
		t.Errorf("%s %s %s", id.ServiceIP(), id.DNSIP(), id.nodeCIDR())
	}
}

func TestIdentityKeepsItsRanges(t *testing.T) {
	id := Identity{PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"), NodeName: "n"}
	err := id.update(Config{DataDir: "/d", PodCIDR: "10.1.0.0/16", NodeName: "n", BindAddress: "127.0.0.1"}, nil)
	if err == nil || !strings.Contains(err.Error(), "was made with 10.244.0.0/16") {
		t.Errorf("error %v", err)
	}
}

func TestLockIsHeldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path); err == nil || !strings.Contains(err.Error(), "already runs") {
		t.Errorf("second lock: %v", err)
	}
	if pid, err := Running(filepath.Dir(path)); err != nil || pid != os.Getpid() {
		t.Errorf("running: %d %v", pid, err)
	}
	f.Close()
	if pid, err := Running(filepath.Dir(path)); err != nil || pid != 0 {
		t.Errorf("after the end: %d %v", pid, err)
	}
}

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"one", "two"} {
		if err := writeFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q %v", b, err)
		}
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files left", len(files))
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{"/a": "/a", `/a\040b`: "/a b", `/tab\011`: "/tab\t", `/end\04`: `/end\04`} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUpstreamsReadsResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("# c\nsearch x\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(upstreams(path), " "); got != "192.0.2.1:53 [2001:db8::1]:53" {
		t.Errorf("%q", got)
	}
}

func TestDownOfNothing(t *testing.T) {
	found, err := Down(t.Context(), Config{DataDir: filepath.Join(t.TempDir(), "none"), Log: slog.New(slog.DiscardHandler)}, false, nil)
	if found || err != nil {
		t.Errorf("%v %v", found, err)
	}
}

// TestDownTouchesNothingThatIsNotOurs: a wrong --data-dir must never cost anybody a file.
func TestDownTouchesNothingThatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	keep := filepath.Join(dir, "etcd", "precious")
	if err := os.MkdirAll(filepath.Dir(keep), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Down(t.Context(), Config{DataDir: dir, Log: slog.New(slog.DiscardHandler)}, true, nil)
	if found || err != nil {
		t.Errorf("down --purge: %v %v", found, err)
	}
	if _, err := os.Stat(keep); err != nil {
		t.Errorf("down --purge of a directory without a cluster removed a file: %v", err)
	}
	if err := CheckDataDir(dir); err == nil || !strings.Contains(err.Error(), "is not empty (there is etcd)") {
		t.Errorf("a first start there: %v", err)
	}
}

// TestDownLeavesTheUsersDisks: a data directory may be a disk of its own, and so may a part of it.
func TestDownLeavesTheUsersDisks(t *testing.T) {
	data := t.TempDir()
	pod, build := filepath.Join(data, "kubelet", "pods", "u", "volumes", "v"), filepath.Join(data, "build", "db")
	all := []string{data, filepath.Join(data, "images"), filepath.Join(data, "kubelet"), pod, build}
	for _, at := range all {
		if err := errors.Join(os.MkdirAll(at, 0o755), unix.Mount("tmpfs", at, "tmpfs", 0, "")); err != nil {
			t.Fatal(err)
		}
	}
	if err := unmountOurs(data); err != nil {
		t.Fatal(err)
	}
	left, err := mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range all {
		there := slices.ContainsFunc(left, func(m mount) bool { return m.point == at })
		if there != (at != pod && at != build) {
			t.Errorf("%s is mounted: %t", at, there)
		}
	}
	if err := unmountUnder(data); err != nil {
		t.Error(err)
	}
}

func TestPurgeLeavesWhatOthersPutThere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range append([]string{"notes"}, own...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := purgeData(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != "notes" {
		t.Errorf("left: %v", left)
	}
	if err := os.Remove(filepath.Join(dir, "notes")); err != nil {
		t.Fatal(err)
	}
	pod := filepath.Join(dir, manifests, "pod.yaml")
	if err := errors.Join(os.Mkdir(filepath.Dir(pod), 0o755), os.WriteFile(pod, nil, 0o600), purgeData(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pod); err != nil {
		t.Errorf("a user's static pod: %v", err)
	}
	if err := errors.Join(CheckDataDir(dir), os.Remove(pod), purgeData(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the empty directory is still there")
	}
}

func TestDamagedIdentityIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cluster.json"), []byte(`{"id":"../.."}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadIdentity(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v", err)
	}
}
