package apiserver

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/transcode"
)

// TestEveryKindHasAPlan: no kind is decoded for want of a rule.
func TestEveryKindHasAPlan(t *testing.T) {
	for _, r := range api.Stored() {
		obj, err := api.Scheme().New(r.Storage)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transcode.Compile(reflect.TypeOf(obj).Elem()); err != nil {
			t.Errorf("%s: %v", r.Storage, err)
		}
	}
}

// TestTranscodedIsServed: a pod's stored bytes are rendered as the decoded pod is, and read around managedFields they
// are the decoded pod.
func TestTranscodedIsServed(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", CreationTimestamp: metav1.NewTime(time.Unix(1700000000, 0)),
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "a", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{}}`)}}, {Manager: "b"}}},
		Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "i", Args: []string{"<a>"}}}}}
	api.Default(p)
	o := remembering(t, p)
	r := &resource{Resource: api.FindKind(corev1.SchemeGroupVersion.WithKind("Pod"))}
	r.plan = planOf(r.Resource)
	got := r.transcoded(o)
	obj, err := r.served(o)
	if err != nil {
		t.Fatal(err)
	}
	want, err := encodeItem(obj)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("transcoded %s\nencoded %s (%v)", got, want, err)
	}
	for range 2 { // rendered, then remembered
		if b, err := r.appendItem([]byte("before"), o); err != nil || string(b) != "before"+string(want) {
			t.Errorf("appended %s (%v)\nencoded %s", b, err, want)
		}
	}
	r.metaPlan = metaPlanOf(r.Resource)
	m, err := r.metadataOf(o)
	if err != nil {
		t.Fatal(err)
	}
	m.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}
	if want, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if got, ok := r.appendTranscodedMetadata(nil, o, "v1"); !ok || !bytes.Equal(got, want) {
		t.Errorf("metadata transcoded %s\nencoded %s", got, want)
	}
	light, err := r.light(o)
	if err != nil {
		t.Fatal(err)
	}
	obj.(*corev1.Pod).ManagedFields = nil
	if !reflect.DeepEqual(light, obj) {
		t.Errorf("light: %+v\nwhole: %+v", light, obj)
	}
}
