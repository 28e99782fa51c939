package apiserver_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/store"
)

// TestMigration: what an older version stored is rewritten once, and later starts trust the store.
func TestMigration(t *testing.T) {
	st := store.NewMemory()
	const key = "/registry/pods/default/old"
	write(t, st, key, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "old", Namespace: "default", UID: "u"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}})
	first, _, _, err := st.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := apiservertest.Start(t, func(c *apiserver.Config) { c.Store = st })
	if s.Suspect() < first.ModRevision {
		t.Fatalf("suspect up to %d, the value is of %d", s.Suspect(), first.ModRevision)
	}
	seen := do(t, s, "GET", pods+"/old", "")
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	now, _, _, err := st.Get(t.Context(), key)
	if err != nil || now.ModRevision == first.ModRevision || !strings.Contains(string(now.Value), "ClusterFirst") {
		t.Errorf("not rewritten: %q %v", now.Value, err)
	}
	if s.Suspect() != 0 {
		t.Errorf("still suspect up to %d", s.Suspect())
	}
	was, is := decodeBody(t, seen), decodeBody(t, do(t, s, "GET", pods+"/old", ""))
	if at(was, "metadata.resourceVersion") == at(is, "metadata.resourceVersion") || at(was, "metadata.uid") != at(is, "metadata.uid") || at(is, "spec.dnsPolicy") != "ClusterFirst" {
		t.Errorf("before %v\nafter %v", was["metadata"], is["metadata"])
	}
	// Nothing is left to do.
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, _, _, err := st.Get(t.Context(), key); err != nil || again.ModRevision != now.ModRevision {
		t.Errorf("rewritten twice: %v", err)
	}
}
