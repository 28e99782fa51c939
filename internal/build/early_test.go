package build

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A plain command line becomes the order that the program would have made; with all others the program is asked.
func TestEarly(t *testing.T) {
	dir := t.TempDir()
	socket, shim, record := filepath.Join(dir, "s"), filepath.Join(dir, "shim"), filepath.Join(dir, "record")
	place := Place{State: dir, Run: dir, Shim: shim, Socket: socket, Cgroup: "/x", Pull: []string{"minato"}}
	text, err := Record("/proc/self/exe", "/helper", place)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{record, shim} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plain := []string{"-t", "a:1", "--build-arg=K=V", "--no-cache", dir}
	if _, err := Early(t.Context(), record, plain); err == nil {
		t.Error("nobody answered, and it went on")
	}
	lis, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{}, 10)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			held <- struct{}{}
		}
	})}
	go srv.Serve(lis) //nolint:errcheck // ends with Close
	t.Cleanup(func() { srv.Close() })
	o, err := Early(t.Context(), record, plain)
	if err != nil {
		t.Fatal(err)
	}
	<-held
	if b := o.Build; b.Context != dir || b.Names[0] != "a:1" || b.Args["K"] != "V" || !b.NoCache || b.Progress != "auto" || o.Place.Shim != shim {
		t.Errorf("%+v %+v", o.Place, b)
	}
	for _, args := range [][]string{{}, {dir}, {"--help"}, {"-t", "a:1"}, {"-t", "a:1", dir, dir}, {"--data-dir", dir, "-t", "a:1", dir},
		{"-t", "a:1", "--platform", "linux/none", dir}, {"-t", "a:1", "--output", "type=none", dir}} {
		if _, err := Early(t.Context(), record, args); err == nil {
			t.Errorf("%q was not left to the program", args)
		}
	}
	if _, err := Early(t.Context(), filepath.Join(dir, "none"), plain); err == nil {
		t.Error("without a record it went on")
	}
}
