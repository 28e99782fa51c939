package api

import (
	"github.com/google/uuid"
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
					l.Name = uuid.NewSHA1(uuid.Nil, []byte(l.UID)).String() // as random as the UID, and another
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
