package api

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func coreResource(resource string) *Resource {
	return Find(schema.GroupVersionResource{Version: "v1", Resource: resource})
}

// checkIndex wants the walk over the bytes to see what the decoded object says.
func checkIndex(t *testing.T, r *Resource, value []byte) {
	t.Helper()
	obj, err := r.DecodeStorage(value)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Index(value)
	if err != nil {
		t.Fatal(err)
	}
	want := r.IndexOf(obj)
	if len(want.Labels) == 0 {
		want.Labels, got.Labels = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", r.Name, got, want)
	}
}

func TestIndexOfEveryStub(t *testing.T) {
	for _, s := range stubs(t) {
		r := Find(s.gvr)
		if r == nil {
			continue
		}
		value, err := EncodeStorage(created(t, r, namespaceOf(r), stubBody(s)))
		if err != nil {
			t.Fatal(err)
		}
		checkIndex(t, r, value)
		if canonical, err := r.Canonical(value); err != nil || !bytes.Equal(canonical, value) {
			t.Errorf("%s: a value of our own is not canonical (%v)", s.gvr, err)
		}
	}
}

func fullMeta() metav1.ObjectMeta {
	now := metav1.NewTime(time.Unix(1700000000, 0))
	return metav1.ObjectMeta{
		Name: "web-0", Namespace: "shop", UID: "u-1", GenerateName: "web-", Generation: 7, CreationTimestamp: now, DeletionTimestamp: &now,
		Labels: map[string]string{"app": "web", "empty": "", "ü": "ö"}, Annotations: map[string]string{"a": "b"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: types.UID("rs-1")}, {UID: "rs-2"}},
		Finalizers:      []string{"x/y"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:a":{}}`)}}},
	}
}

func TestIndexOfHotKinds(t *testing.T) {
	m := fullMeta()
	for _, obj := range []Object{
		&corev1.Pod{ObjectMeta: m, Spec: corev1.PodSpec{
			NodeName: "n1", RestartPolicy: corev1.RestartPolicyNever, SchedulerName: "s", ServiceAccountName: "sa", HostNetwork: true,
			Containers: []corev1.Container{{Name: "c", Image: "i"}},
		}, Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1", PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd00::1"}}, NominatedNodeName: "n2",
		}},
		&corev1.Event{ObjectMeta: m, Reason: "Pulled", Type: "Normal", ReportingController: "kubelet", InvolvedObject: corev1.ObjectReference{
			Kind: "Pod", Namespace: "shop", Name: "web-0", UID: "u-1", APIVersion: "v1", ResourceVersion: "5", FieldPath: "spec.containers{c}",
		}},
		&corev1.Event{ObjectMeta: m, Source: corev1.EventSource{Component: "scheduler", Host: "h"}, ReportingController: "other"},
		&corev1.Secret{ObjectMeta: m, Type: corev1.SecretTypeTLS, Data: map[string][]byte{"k": {1, 2}}},
		&corev1.Node{ObjectMeta: m, Spec: corev1.NodeSpec{Unschedulable: true, PodCIDR: "10.0.0.0/24"}},
		&corev1.Namespace{ObjectMeta: m, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}},
		&corev1.Service{ObjectMeta: m, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1", Type: corev1.ServiceTypeNodePort}},
		&corev1.ReplicationController{ObjectMeta: m, Status: corev1.ReplicationControllerStatus{Replicas: 12}},
	} {
		Default(obj)
		value, err := EncodeStorage(obj)
		if err != nil {
			t.Fatal(err)
		}
		r := FindKind(obj.GetObjectKind().GroupVersionKind())
		checkIndex(t, r, value)
		if _, ok, err := r.walk(value); !ok || err != nil {
			t.Errorf("%s is decoded to index it (%v)", r.Name, err)
		}
	}
}

func FuzzIndex(f *testing.F) {
	pod := &corev1.Pod{ObjectMeta: fullMeta(), Spec: corev1.PodSpec{NodeName: "n"}}
	value, err := EncodeStorage(pod)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add(value[:len(value)/2])
	f.Add([]byte("k8s\x00\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x00"))
	f.Fuzz(func(t *testing.T, value []byte) {
		r := coreResource("pods")
		x, ok, _ := r.walk(value)
		obj, err := DecodeStorage(value)
		if !ok || err != nil {
			return
		}
		if _, isPod := obj.(*corev1.Pod); isPod && (x.Name != obj.GetName() || x.Namespace != obj.GetNamespace() || x.UID != string(obj.GetUID())) {
			t.Errorf("walk says %s/%s %s, decoding %s/%s %s", x.Namespace, x.Name, x.UID, obj.GetNamespace(), obj.GetName(), obj.GetUID())
		}
	})
}
