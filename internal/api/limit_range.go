package api

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func limitRange() kind {
	return kind{
		name: "LimitRange", plural: "limitranges",
		short: []string{"limits"},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(l *core.LimitRange) {
				if l.Name == "" {
					l.Name = string(l.UID)
				}
			}),
			Validate: valid(validation.ValidateLimitRange),
			ValidateUpdate: validUpdate(func(l, _ *core.LimitRange) field.ErrorList {
				return validation.ValidateLimitRange(l)
			}),
			AllowCreateOnUpdate: true,
		},
	}
}
