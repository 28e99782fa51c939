package cluster

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/pki"
	"sigs.k8s.io/yaml"
)

// TestOtherKubelet: another program gets what a kubelet needs, is started again when it ends, and ends with the cluster.
func TestOtherKubelet(t *testing.T) {
	dir := t.TempDir()
	said, program := filepath.Join(dir, "said"), filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >>"+said+"\ntest $(wc -l <"+said+") = 1 && exit 3\ntrap 'echo asked >>"+said+"; exit 0' TERM\nwhile true; do sleep 0.05; done\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	a := &assembly{cfg: Config{Kubelet: program, BindAddress: "127.0.0.1"}, log: slog.New(slog.DiscardHandler), nodeIP: netip.MustParseAddr("10.0.0.1"),
		id:    Identity{ID: "0123", NodeName: "n", Port: 6443, KubeletPort: 10250, ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12")},
		paths: Paths{Data: filepath.Join(dir, "data"), Run: filepath.Join(dir, "run")}}
	var err error
	if a.pki, err = pki.EnsureAll(a.paths.PKI(), pki.Names{Node: "n", IPs: []net.IP{net.ParseIP("10.0.0.1")}, ServiceIP: net.ParseIP("10.96.0.1"), ClusterDomain: clusterDomain}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(a.paths.Data, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.otherKubelet(ctx, func() {}) }()
	lines := func() []string {
		b, _ := os.ReadFile(said)
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
	for deadline := time.Now().Add(30 * time.Second); len(lines()) < 2 && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond) // the program writes where nothing tells us
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	got := lines()
	if len(got) < 2 || got[0] != got[1] || !strings.Contains(got[0], "--hostname-override n --node-ip 10.0.0.1") {
		t.Errorf("started as %q", got)
	}
	var config struct {
		TLSCertFile, ContainerRuntimeEndpoint string
		ClusterDNS                            []string
		Authentication                        struct{ X509 struct{ ClientCAFile string } }
	}
	b, err := os.ReadFile(filepath.Join(a.paths.otherKubelet(), "kubelet.yaml"))
	if err == nil {
		err = yaml.Unmarshal(b, &config)
	}
	if err != nil || config.ContainerRuntimeEndpoint != "unix://"+a.paths.CRISocket() || len(config.ClusterDNS) != 1 || config.Authentication.X509.ClientCAFile != a.pki.CA.CertFile {
		t.Errorf("%+v, %v", config, err)
	}
	for path, want := range map[string]string{"kubelet": "absolute", "/nosuch/kubelet": "no such file", dir: "not a program", said: "not a program", program: "", "": ""} {
		if err := checkKubelet(path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
}
