package api

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func configMap() kind {
	return kind{
		name: "ConfigMap", plural: "configmaps",
		short: []string{"cm"},
		strategy: &Strategy{
			Validate:       valid(validation.ValidateConfigMap),
			ValidateUpdate: validUpdate(validation.ValidateConfigMapUpdate),
		},
		columns: table("Name", "Data", "Age"),
		row: typed(func(c *corev1.ConfigMap, at time.Time) []any {
			return []any{c.Name, int64(len(c.Data) + len(c.BinaryData)), age(c.CreationTimestamp, at)}
		}),
	}
}
