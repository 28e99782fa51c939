package known_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/kubelet/known"
)

func TestRecords(t *testing.T) {
	pods := t.TempDir()
	r := known.Record{Boot: "b1", Services: []*corev1.Service{{ObjectMeta: metav1.ObjectMeta{Name: "web"}}},
		Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u1", Name: "p", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}}}
	if err := r.Write(filepath.Join(pods, "u1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a pod without a directory: %v", err)
	}
	for _, uid := range []string{"u1", "u2", "u3", "u4"} {
		if err := os.Mkdir(filepath.Join(pods, uid), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, uid := range []string{"u1", "u1", "u2"} { // what is in u2 tells of another
		if err := r.Write(filepath.Join(pods, uid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(pods, "u3", "pod.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := known.All(pods)
	if err == nil || len(all) != 1 || all[0].Pod.Name != "p" || all[0].Services[0].Name != "web" || all[0].Pod.ManagedFields != nil {
		t.Errorf("read %+v, %v", all, err)
	}
}

func TestWaits(t *testing.T) {
	yes := true
	set := known.Record{Boot: "b1", Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Controller: &yes}}}}}
	if set.Waits("b1") != "" || set.Waits("b2") == "" {
		t.Error("the pod of a StatefulSet waits after a boot, and only then")
	}
	if (known.Record{Boot: "b1", Pod: &corev1.Pod{}}).Waits("b2") != "" {
		t.Error("another pod waits")
	}
}
