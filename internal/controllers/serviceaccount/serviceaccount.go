// Package serviceaccount keeps the service account "default" in every namespace.
package serviceaccount

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

const name = "default"

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	namespaces, accounts := client.ViewOf(vs, client.Namespaces), client.ViewOf(vs, client.ServiceAccounts)
	return control.Controller{
		Name: "serviceaccount", Workers: 2,
		Sources: []control.Source{control.Self(namespaces), control.On(accounts, func(old, new *corev1.ServiceAccount) []control.Key {
			if new == nil && old.Name == name {
				return []control.Key{{Name: old.Namespace}}
			}
			return nil
		})},
		Writes: []string{"serviceaccounts:default"},
		Reconcile: func(ctx context.Context, k control.Key) (control.Result, error) {
			ns, ok := namespaces.Get("", k.Name)
			if !ok || ns.DeletionTimestamp != nil {
				return control.Result{}, nil
			}
			if _, ok := accounts.Get(k.Name, name); ok {
				return control.Result{}, nil
			}
			sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: k.Name, Name: name}}
			_, err := client.Of(vs.Client(), client.ServiceAccounts).Create(ctx, sa)
			if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return control.Result{}, fmt.Errorf("create service account %s: %w", name, err)
			}
			return control.Result{}, nil
		},
	}
}
