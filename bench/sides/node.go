package sides

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"minato.dev/minato/bench/upstream"
)

// HelloImage is the image that pods run on both sides; upstream gets ours imported.
const HelloImage = "minato.local/hello:latest"

// PrepareUpstream makes upstream's whole node, with the images in its runtime: control plane, containerd, kubelet,
// kube-proxy and CoreDNS.
func PrepareUpstream(ctx context.Context, bin string, n upstream.NodeConfig) (*Side, error) {
	if err := upstream.Build(ctx, bin, append(upstream.Plane, upstream.Node...)...); err != nil {
		return nil, err
	}
	n.Image = HelloImage
	c, err := upstream.New(ctx, bin)
	if err != nil {
		return nil, err
	}
	s := fromUpstream(c)
	s.up = c.StartNode
	if err := c.PrepareNode(ctx, n); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, s.Words()), s.Close())
	}
	return s, nil
}

// UpstreamNode starts upstream's whole node and waits until it is as complete as ours after `minato up`.
func UpstreamNode(ctx context.Context, bin string, n upstream.NodeConfig) (*Side, error) {
	s, err := PrepareUpstream(ctx, bin, n)
	if err != nil {
		return nil, err
	}
	if _, err := s.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, s.Words()), s.Close())
	}
	return s, nil
}

// BothNodes starts a whole node of ours and of upstream's. Close each.
func BothNodes(ctx context.Context, f Flags, n upstream.NodeConfig) ([]*Side, error) {
	ours, err := Ours(ctx, f.Minato, nil)
	if err != nil {
		return nil, err
	}
	theirs, err := UpstreamNode(ctx, f.Upstream, n)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return []*Side{ours, theirs}, nil
}

// RegisterNode adds the flags of a command that starts whole nodes.
func RegisterNode(n *upstream.NodeConfig) {
	flag.StringVar(&n.CNI, "cni", "/usr/lib/cni", "folder of the CNI plugins for upstream (Debian: containernetworking-plugins)")
	flag.StringVar(&n.Program, "hello", "bin/minato-hello", "the program of the image minato.local/hello")
}

// Exists waits until the API has an object at path, such as the default service account, which the first pod needs.
func (s *Side) Exists(ctx context.Context, path string) error {
	return s.await(ctx, path, func([]byte) bool { return true })
}

// await asks for the object at path until it is as wanted.
func (s *Side) await(ctx context.Context, path string, want func([]byte) bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := s.Client(false)
	defer c.CloseIdleConnections()
	for {
		b, err := get(ctx, c, s.URL+path)
		if err == nil && want(b) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: waited a minute: %w", s.Name, path, errors.Join(err, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, c *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(resp.Body)
}
