package endpointslice

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

// Changes is what to write.
type Changes struct{ Create, Update, Remove []*discoveryv1.EndpointSlice }

// Apply writes the changes and waits until the view has them, so that the next round does not repeat them.
func (ch Changes) Apply(ctx context.Context, c *client.Client, view *client.View[*discoveryv1.EndpointSlice]) error {
	door, newest := client.Of(c, client.EndpointSlices), ""
	for _, s := range ch.Update {
		w, err := door.Update(ctx, s)
		if err != nil {
			return fmt.Errorf("update EndpointSlice %s: %w", s.Name, err)
		}
		newest = w.ResourceVersion
	}
	for _, s := range ch.Create {
		w, err := door.Create(ctx, s)
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("create EndpointSlice for %s: %w", s.GenerateName, err)
		}
		newest = w.ResourceVersion
	}
	for _, s := range ch.Remove {
		if err := door.Delete(ctx, s.Namespace, s.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete EndpointSlice %s: %w", s.Name, err)
		}
	}
	if newest != "" {
		return view.WaitFor(ctx, newest)
	}
	return nil
}
