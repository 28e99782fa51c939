package apiserver

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager"

	"minato.dev/minato/internal/api"
)

// TestKeepTimes asks upstream's transformer the same.
func TestKeepTimes(t *testing.T) {
	entry := func(manager, fields string, second int64) metav1.ManagedFieldsEntry {
		e := metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}
		if second > 0 {
			e.Time = &metav1.Time{Time: time.Unix(second, 0)}
		}
		return e
	}
	pod := func(message string, record ...metav1.ManagedFieldsEntry) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", ManagedFields: record}, Status: corev1.PodStatus{Message: message}}
	}
	for name, c := range map[string]struct{ obj, old api.Object }{
		"nothing else":      {pod("x", entry("m", "{}", 2)), pod("x", entry("m", "{}", 1))},
		"a status":          {pod("y", entry("m", "{}", 2)), pod("x", entry("m", "{}", 1))},
		"another manager":   {pod("x", entry("n", "{}", 2)), pod("x", entry("m", "{}", 1))},
		"other fields":      {pod("x", entry("m", `{"f:a":{}}`, 2)), pod("x", entry("m", "{}", 1))},
		"one manager more":  {pod("x", entry("m", "{}", 2), entry("n", "{}", 2)), pod("x", entry("m", "{}", 1))},
		"one of two":        {pod("x", entry("m", "{}", 2), entry("n", "{}", 2)), pod("x", entry("m", "{}", 2), entry("n", "{}", 1))},
		"no time before":    {pod("x", entry("m", "{}", 2)), pod("x", entry("m", "{}", 0))},
		"the same time":     {pod("x", entry("m", "{}", 2)), pod("x", entry("m", "{}", 2))},
		"no record":         {pod("x"), pod("x")},
		"no list, no items": {&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{entry("m", "{}", 2)}}, Data: map[string]string{}}, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{entry("m", "{}", 1)}}}},
	} {
		want, err := fieldmanager.IgnoreManagedFieldsTimestampsTransformer(t.Context(), copyOf(c.obj), copyOf(c.old))
		if err != nil {
			t.Fatal(err)
		}
		old := copyOf(c.old)
		if keepTimes(c.obj, c.old); !reflect.DeepEqual(c.obj, want) || !reflect.DeepEqual(c.old, old) {
			t.Errorf("%s: %+v, upstream %+v", name, c.obj, want)
		}
	}
}
