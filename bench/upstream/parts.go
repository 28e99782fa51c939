package upstream

import (
	"context"

	"minato.dev/minato/internal/pki"
)

// PKI is the cluster's authorities and certificates, for a server that stands in for one of its programs.
func (c *Cluster) PKI() *pki.Bundle { return c.pki }

// StartKubelet starts the runtime and the kubelet of a prepared node; who answers at URL is not its concern.
func (c *Cluster) StartKubelet(ctx context.Context) error {
	if err := c.startContainerd(ctx); err != nil {
		return err
	}
	return c.kubelet(ctx)
}

// StartControllers starts kube-controller-manager.
func (c *Cluster) StartControllers(ctx context.Context) error { return c.controllerManager(ctx) }
