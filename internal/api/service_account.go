package api

import (
	"time"

	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func serviceAccount() kind {
	return kind{
		name: "ServiceAccount", plural: "serviceaccounts",
		short: []string{"sa"},
		subs: []sub{
			{name: "token", kind: "TokenRequest", gv: authenticationV1, verbs: createOnly},
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(keepSecretNames),
			PrepareForUpdate: prepareUpdate(func(s, _ *core.ServiceAccount) { keepSecretNames(s) }),
			Validate:         valid(validation.ValidateServiceAccount),
			ValidateUpdate:   validUpdate(validation.ValidateServiceAccountUpdate),
			Warnings:         warn(serviceAccountWarnings),
		},
		returnsDeleted: true,
		columns:        table("Name", "Age"),
		row: typed(func(s *corev1.ServiceAccount, at time.Time) []any {
			return []any{s.Name, age(s.CreationTimestamp, at)}
		}),
	}
}

// keepSecretNames drops all of a reference but the name: the namespace and kind are fixed.
func keepSecretNames(s *core.ServiceAccount) {
	for i, ref := range s.Secrets {
		s.Secrets[i] = core.ObjectReference{Name: ref.Name}
	}
}

const mountableSecretsAnnotation = "kubernetes.io/enforce-mountable-secrets"

func serviceAccountWarnings(_ context.Context, s, old *core.ServiceAccount) []string {
	if old != nil {
		if _, had := old.Annotations[mountableSecretsAnnotation]; had {
			return nil
		}
	}
	if _, has := s.Annotations[mountableSecretsAnnotation]; !has {
		return nil
	}
	return []string{fmt.Sprintf("metadata.annotations[%s]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets", mountableSecretsAnnotation)}
}
