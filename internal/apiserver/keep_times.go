package apiserver

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
)

// keepTimes leaves the times of field management alone where nothing else has changed, so that such a write changes nothing
// (upstream's IgnoreManagedFieldsTimestampsTransformer).
func keepTimes(obj, old api.Object) {
	has, had := obj.GetManagedFields(), old.GetManagedFields()
	if !onlyTimesDiffer(has, had) {
		return
	}
	obj.SetManagedFields(nil)
	old.SetManagedFields(nil)
	same := api.Equal(obj, old)
	obj.SetManagedFields(has)
	old.SetManagedFields(had)
	if same {
		for i := range has {
			has[i].Time = had[i].Time
		}
	}
}

// onlyTimesDiffer says whether two records name the same managers with the same fields, but not at the same times.
func onlyTimesDiffer(a, b []metav1.ManagedFieldsEntry) bool {
	if len(a) != len(b) {
		return false
	}
	differ := false
	for i := range a {
		x, y := &a[i], &b[i]
		if x.Manager != y.Manager || x.Operation != y.Operation || x.APIVersion != y.APIVersion || x.FieldsType != y.FieldsType ||
			x.Subresource != y.Subresource || !sameFields(x.FieldsV1, y.FieldsV1) {
			return false
		}
		differ = differ || !x.Time.Equal(y.Time)
	}
	return differ
}

func sameFields(a, b *metav1.FieldsV1) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}
