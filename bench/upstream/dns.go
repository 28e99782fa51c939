package upstream

import (
	"bytes"
	"context"
	_ "embed" // coredns.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// DNS is where cluster names are answered, as the kubelet tells pods.
const DNS = "10.97.0.10"

const dnsImage = "registry.k8s.io/coredns/coredns:v1.14.7"

const corefile = `.:53 {
    errors
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig /etc/coredns/kubeconfig
        pods insecure
        ttl 30
    }
    cache 30
    reload
    loadbalance
}
`

// coredns.json is CoreDNS as clusters have it, a Deployment behind a Service, with three differences: its pod is on the
// host's network, because memory is counted by network namespace; it is one replica, where kubeadm makes two; and it
// is given a kubeconfig, because this API server publishes no address of itself.
//
//go:embed coredns.json
var coreDNS string

func (c *Cluster) dnsDir() string { return filepath.Join(c.Dir, "dns") }

// dnsFiles writes what CoreDNS reads into the folder that its pod mounts.
func (c *Cluster) dnsFiles() error {
	if err := os.MkdirAll(c.dnsDir(), 0o755); err != nil {
		return err
	}
	conf, err := c.kubeconfig("dns", c.pki.Admin)
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(conf, filepath.Join(c.dnsDir(), "kubeconfig")), os.WriteFile(filepath.Join(c.dnsDir(), "Corefile"), []byte(corefile), 0o644))
}

// dns creates the objects of CoreDNS where they are not there yet.
func (c *Cluster) dns(ctx context.Context) error {
	var objects []struct {
		Path   string
		Object json.RawMessage
	}
	if err := json.Unmarshal(bytes.ReplaceAll([]byte(coreDNS), []byte("CONFIG"), []byte(c.dnsDir())), &objects); err != nil {
		return fmt.Errorf("coredns.json: %w", err)
	}
	hc := &http.Client{Transport: &http.Transport{DialContext: c.Net.DialContext, TLSClientConfig: c.TLS(), ForceAttemptHTTP2: true}}
	defer hc.CloseIdleConnections()
	for _, o := range objects {
		if err := create(ctx, hc, c.URL()+o.Path, o.Object); err != nil {
			return err
		}
	}
	return nil
}

func create(ctx context.Context, hc *http.Client, url string, object []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(object))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 && resp.StatusCode != http.StatusConflict {
		err = fmt.Errorf("POST %s: %s: %.300s", url, resp.Status, b)
	}
	return err
}
