package sides

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"minato.dev/minato/bench/upstream"
)

// HelloImage is the image that pods run on both sides; upstream gets ours imported.
const HelloImage = "minato.local/hello:latest"

// UpstreamNode starts upstream's whole node: control plane, containerd, kubelet and kube-proxy.
func UpstreamNode(ctx context.Context, bin string, n upstream.NodeConfig) (*Side, error) {
	if err := upstream.Build(ctx, bin, append(upstream.Plane, upstream.Node...)...); err != nil {
		return nil, err
	}
	n.Image = HelloImage
	c, err := upstream.New(ctx, bin)
	if err != nil {
		return nil, err
	}
	s := fromUpstream(c)
	if err := startTheirs(ctx, c, nil); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := c.StartNode(ctx, n); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Exists waits until the API has an object at path, such as the default service account, which the first pod needs.
func (s *Side) Exists(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := s.Client(false)
	defer c.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w", s.Name, path, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
