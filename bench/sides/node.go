package sides

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

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
	began := time.Now()
	if err := errors.Join(s.startTheirs(ctx, c, nil), c.StartNode(ctx, n), s.nodeReady(ctx, "/api/v1/nodes/"+upstream.NodeName)); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, s.Words()), s.Close())
	}
	s.Node = time.Since(began)
	return s, nil
}

// Exists waits until the API has an object at path, such as the default service account, which the first pod needs.
func (s *Side) Exists(ctx context.Context, path string) error {
	return s.await(ctx, path, func([]byte) bool { return true })
}

func (s *Side) nodeReady(ctx context.Context, path string) error {
	return s.await(ctx, path, func(b []byte) bool {
		var n corev1.Node
		if err := json.Unmarshal(b, &n); err != nil {
			return false
		}
		return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
	})
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
