// Package tokencleaner removes bootstrap tokens whose time is over.
package tokencleaner

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// tokenType is that of the Secrets of bootstrap tokens.
const tokenType = "bootstrap.kubernetes.io/token"

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	secrets := client.SelectedViewOf(vs, client.Secrets, metav1.ListOptions{FieldSelector: "type=" + tokenType})
	return control.Controller{
		Name:    "token-cleaner",
		Sources: []control.Source{control.Self(secrets)},
		Writes:  []string{"secrets:bootstrap tokens"},
		Reconcile: func(ctx context.Context, k control.Key) (control.Result, error) {
			s, ok := secrets.Get(k.Namespace, k.Name)
			if !ok || s.Namespace != metav1.NamespaceSystem || s.DeletionTimestamp != nil {
				return control.Result{}, nil
			}
			end, ends := expiry(s)
			if !ends {
				return control.Result{}, nil
			}
			if left := time.Until(end); left > 0 {
				return control.Result{After: left}, nil
			}
			// The view may lag behind a change of the end, so that the removal holds for this version only.
			err := client.Of(vs.Client(), client.Secrets).Delete(ctx, s.Namespace, s.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion}})
			if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				err = nil
			}
			return control.Result{}, err
		},
	}
}

// expiry is when a token ends; one whose end cannot be read has ended, as upstream has it.
func expiry(s *corev1.Secret) (end time.Time, ends bool) {
	v := s.Data["expiration"]
	if len(v) == 0 {
		return end, false
	}
	end, err := time.Parse(time.RFC3339, string(v))
	if err != nil {
		return time.Time{}, true
	}
	return end, true
}
