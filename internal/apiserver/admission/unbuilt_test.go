package admission

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestUnbuiltKindsWarn(t *testing.T) {
	for resource, want := range map[string]string{"horizontalpodautoscalers": "nothing is scaled by it", "deployments": ""} {
		a := &Attributes{Operation: Create, Resource: schema.GroupVersionResource{Group: map[string]string{"horizontalpodautoscalers": "autoscaling", "deployments": "apps"}[resource], Version: "v1", Resource: resource}}
		if unbuiltKinds.handles(a.Operation, a.Resource.GroupResource(), "") {
			if err := unbuiltKinds.validate(t.Context(), nil, a); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(a.Warnings, "|"); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: warnings %q, want %q", resource, got, want)
		}
	}
}
