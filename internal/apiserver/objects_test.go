package apiserver_test

import (
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestCaughtUp checks that a listener has been told of every write that was answered before.
func TestCaughtUp(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	gr := schema.GroupResource{Resource: "configmaps"}
	s := apiservertest.Start(t, func(c *apiserver.Config) {
		c.Secure = func(o *apiserver.Objects) (apiserver.Security, error) {
			o.OnChange(gr, func(old, new runtime.Object) {
				mu.Lock()
				defer mu.Unlock()
				if new == nil {
					delete(seen, old.(*corev1.ConfigMap).Name)
				} else {
					seen[new.(*corev1.ConfigMap).Name] = true
				}
			})
			return apiservertest.AllowAll(o)
		}
	})
	o := s.Objects()
	for _, name := range []string{"a", "b", "c"} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
		if err := o.Create(t.Context(), gr, cm); err != nil {
			t.Fatal(err)
		}
		if err := o.CaughtUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if !seen[name] {
			t.Errorf("%s not seen", name)
		}
		mu.Unlock()
	}
	must(t, do(t, s, "DELETE", cms+"/b", ""), 200)
	if err := o.CaughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 {
		t.Errorf("after a deletion: %v", seen)
	}
}
