package api

import (
	"time"

	"context"
	"crypto/tls"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func secret() kind {
	return kind{
		name: "Secret", plural: "secrets",
		strategy: &Strategy{
			PrepareForUpdate: prepareUpdate(func(s, old *core.Secret) {
				if s.Type == "" { // the type cannot change, so leaving it out means the old one
					s.Type = old.Type
				}
			}),
			Validate:       valid(validation.ValidateSecret),
			ValidateUpdate: validUpdate(validation.ValidateSecretUpdate),
			Warnings:       warn(secretWarnings),
		},
		fields: selectable(func(s *corev1.Secret) map[string]string {
			return map[string]string{"type": string(s.Type)}
		}),
		wire:    &wireMap{leaves: []wireLeaf{text("type", 3)}},
		columns: table("Name", "Type", "Data", "Age"),
		row: typed(func(s *corev1.Secret, at time.Time) []any {
			return []any{s.Name, string(s.Type), int64(len(s.Data)), age(s.CreationTimestamp, at)}
		}),
	}
}

func secretWarnings(_ context.Context, s, _ *core.Secret) []string {
	if s.Type != core.SecretTypeTLS {
		return nil
	}
	if _, err := tls.X509KeyPair(s.Data[core.TLSCertKey], s.Data[core.TLSPrivateKeyKey]); err != nil {
		return []string{err.Error()}
	}
	return nil
}
