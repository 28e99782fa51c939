// Package token fills Secrets that hold a service account's token without end, and removes them with the account.
//
// A Secret of type kubernetes.io/service-account-token whose annotation kubernetes.io/service-account.name names an account
// gets ca.crt, namespace, token and the account's UID; nobody makes such Secrets but users.
package token

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// Sign returns the token that belongs into a Secret.
type Sign func(sa *corev1.ServiceAccount, secret *corev1.Secret) (string, error)

type controller struct {
	c        *client.Client
	secrets  *client.View[*corev1.Secret]
	accounts *client.View[*corev1.ServiceAccount]
	ca       []byte
	sign     Sign
}

// New returns the controller; ca is the PEM of the cluster's authority.
func New(vs *client.Views, ca []byte, sign Sign, _ *slog.Logger) control.Controller {
	c := &controller{c: vs.Client(), ca: ca, sign: sign, accounts: client.ViewOf(vs, client.ServiceAccounts),
		secrets: client.SelectedViewOf(vs, client.Secrets, metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeServiceAccountToken)})}
	return control.Controller{
		Name: "token",
		Sources: []control.Source{control.Self(c.secrets), control.On(c.accounts, func(old, new *corev1.ServiceAccount) []control.Key {
			if old != nil && new != nil && old.UID == new.UID {
				return nil
			}
			if new == nil {
				new = old
			}
			return c.of(new)
		})},
		Writes:    []string{"secrets:service account tokens"},
		Reconcile: c.reconcile,
	}
}

// of names the Secrets of an account.
func (c *controller) of(sa *corev1.ServiceAccount) (keys []control.Key) {
	for _, s := range c.secrets.List(sa.Namespace, nil) {
		if s.Annotations[corev1.ServiceAccountNameKey] == sa.Name {
			keys = append(keys, control.Key{Namespace: s.Namespace, Name: s.Name})
		}
	}
	return keys
}

func (c *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	secret, ok := c.secrets.Get(k.Namespace, k.Name)
	if !ok || secret.DeletionTimestamp != nil || secret.Annotations[corev1.ServiceAccountNameKey] == "" {
		return control.Result{}, nil
	}
	sa, err := c.account(ctx, secret)
	if err != nil {
		return control.Result{}, err
	}
	if sa == nil {
		err := client.Of(c.c, client.Secrets).Delete(ctx, k.Namespace, k.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &secret.UID}})
		return control.Result{}, orGone("delete the token of a service account that is gone", err)
	}
	changed, err := c.filled(secret, sa)
	if err != nil || changed == nil {
		return control.Result{}, err
	}
	_, err = client.Of(c.c, client.Secrets).Update(ctx, changed)
	return control.Result{}, orGone("fill the token", err)
}

// account is the Secret's own account, nil where the server says that it is not there.
func (c *controller) account(ctx context.Context, s *corev1.Secret) (*corev1.ServiceAccount, error) {
	name := s.Annotations[corev1.ServiceAccountNameKey]
	sa, ok := c.accounts.Get(s.Namespace, name)
	if !ok || !holds(s, sa) {
		var err error
		if sa, err = client.Of(c.c, client.ServiceAccounts).Get(ctx, s.Namespace, name); apierrors.IsNotFound(err) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("read service account %s: %w", name, err)
		}
	}
	if !holds(s, sa) {
		return nil, nil
	}
	return sa, nil
}

// holds: a Secret that has no UID yet takes that of the account that bears its name.
func holds(s *corev1.Secret, sa *corev1.ServiceAccount) bool {
	uid := s.Annotations[corev1.ServiceAccountUIDKey]
	return uid == "" || uid == string(sa.UID)
}

// filled is the Secret with all that it must have, nil where it has it.
func (c *controller) filled(s *corev1.Secret, sa *corev1.ServiceAccount) (*corev1.Secret, error) {
	have := s.Data
	fine := bytes.Equal(have[corev1.ServiceAccountRootCAKey], c.ca) && string(have[corev1.ServiceAccountNamespaceKey]) == s.Namespace
	if fine && len(have[corev1.ServiceAccountTokenKey]) > 0 && s.Annotations[corev1.ServiceAccountUIDKey] != "" {
		return nil, nil
	}
	next := s.DeepCopy()
	if next.Data == nil {
		next.Data = map[string][]byte{}
	}
	next.Data[corev1.ServiceAccountRootCAKey], next.Data[corev1.ServiceAccountNamespaceKey] = c.ca, []byte(s.Namespace)
	next.Annotations[corev1.ServiceAccountUIDKey] = string(sa.UID)
	if len(have[corev1.ServiceAccountTokenKey]) == 0 {
		token, err := c.sign(sa, next)
		if err != nil {
			return nil, fmt.Errorf("sign a token: %w", err)
		}
		next.Data[corev1.ServiceAccountTokenKey] = []byte(token)
	}
	return next, nil
}

func orGone(what string, err error) error {
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
