package api

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/apis/apps/validation"
)

func controllerRevision() kind {
	return kind{
		group: "apps",
		name:  "ControllerRevision", plural: "controllerrevisions",
		strategy: &Strategy{
			Validate:       valid(validation.ValidateControllerRevisionCreate),
			ValidateUpdate: validUpdate(validation.ValidateControllerRevisionUpdate),
		},
		columns: table("Name", "Controller", "Revision", "Age"),
		row: typed(func(c *appsv1.ControllerRevision, now time.Time) []any {
			owner := "<none>"
			if o := metav1.GetControllerOf(c); o != nil {
				gk := schema.GroupKind{Group: schema.FromAPIVersionAndKind(o.APIVersion, o.Kind).Group, Kind: o.Kind}
				owner = strings.ToLower(gk.String()) + "/" + o.Name
			}
			return []any{c.Name, owner, c.Revision, age(c.CreationTimestamp, now)}
		}),
	}
}
