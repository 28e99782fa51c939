package api

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// componentStatus is deprecated upstream; it is made up on request and never stored.
func componentStatus() kind {
	return kind{
		name: "ComponentStatus", plural: "componentstatuses",
		short:   []string{"cs"},
		cluster: true,
		virtual: true,
		verbs:   []string{"get", "list"},
		columns: table("Name", "Status", "Message", "Error"),
		row: typed(func(c *corev1.ComponentStatus, _ time.Time) []any {
			for _, x := range c.Conditions {
				if x.Type != corev1.ComponentHealthy {
					continue
				}
				status := "Unhealthy"
				if x.Status == corev1.ConditionTrue {
					status = "Healthy"
				}
				return []any{c.Name, status, x.Message, x.Error}
			}
			return []any{c.Name, "Unknown", "", ""}
		}),
	}
}
