// Package rootca publishes the cluster's certificate authority to every namespace, for the pods' token volumes.
package rootca

import (
	"context"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// Upstream's names.
const (
	name        = "kube-root-ca.crt"
	key         = "ca.crt"
	description = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)

// New returns the controller; ca is the PEM of the authority.
func New(vs *client.Views, ca []byte, _ *slog.Logger) control.Controller {
	namespaces := client.ViewOf(vs, client.Namespaces)
	maps := client.SelectedViewOf(vs, client.ConfigMaps, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	return control.Controller{
		Name: "root-ca", Workers: 2,
		Sources: []control.Source{control.Self(namespaces), control.On(maps, func(old, new *corev1.ConfigMap) []control.Key {
			if new == nil {
				new = old
			}
			return []control.Key{{Name: new.Namespace}}
		})},
		Writes: []string{"configmaps:" + name},
		Reconcile: func(ctx context.Context, k control.Key) (control.Result, error) {
			ns, ok := namespaces.Get("", k.Name)
			if !ok || ns.DeletionTimestamp != nil {
				return control.Result{}, nil
			}
			have, exists := maps.Get(k.Name, name)
			return control.Result{}, publish(ctx, vs.Client(), k.Name, have, exists, string(ca))
		},
	}
}

func publish(ctx context.Context, c *client.Client, ns string, have *corev1.ConfigMap, exists bool, ca string) error {
	data := map[string]string{key: ca}
	if !exists {
		_, err := client.Of(c, client.ConfigMaps).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Annotations: map[string]string{"kubernetes.io/description": description}},
			Data:       data,
		})
		if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return fmt.Errorf("create %s: %w", name, err)
		}
		return nil
	}
	if len(have.Data) == 1 && have.Data[key] == ca && len(have.BinaryData) == 0 {
		return nil
	}
	changed := have.DeepCopy()
	changed.Data, changed.BinaryData = data, nil
	if _, err := client.Of(c, client.ConfigMaps).Update(ctx, changed); err != nil {
		return fmt.Errorf("update %s: %w", name, err)
	}
	return nil
}
