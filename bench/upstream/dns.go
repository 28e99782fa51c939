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
		if err := ensure(ctx, hc, c.URL()+o.Path, o.Object); err != nil {
			return err
		}
	}
	return nil
}

// ensure creates an object below the collection url unless it is there from an earlier start.
func ensure(ctx context.Context, hc *http.Client, url string, object []byte) error {
	var named struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal(object, &named); err != nil {
		return err
	}
	code, b, err := ask(ctx, hc, http.MethodGet, url+"/"+named.Metadata.Name, nil)
	if err == nil && code == http.StatusNotFound {
		code, b, err = ask(ctx, hc, http.MethodPost, url, object)
	}
	if err == nil && code >= 300 {
		err = fmt.Errorf("%s: %d: %.300s", url, code, b)
	}
	return err
}

func ask(ctx context.Context, hc *http.Client, method, url string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}
