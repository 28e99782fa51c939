package client

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestIndexAgainstMap adds, replaces and removes at random, across the size at which a bucket becomes a map.
func TestIndexAgainstMap(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	ix := &index[*corev1.ConfigMap]{of: func(c *corev1.ConfigMap) []string { return []string{c.Labels["key"], "all"} }, keys: map[string]*bucket[*corev1.ConfigMap]{}}
	there := map[place]*held[*corev1.ConfigMap]{}
	for range 5000 {
		at := place{"ns", fmt.Sprint(draw.IntN(60))}
		if old := there[at]; old != nil {
			ix.remove(at, old.whole)
			delete(there, at)
		}
		if draw.IntN(3) > 0 {
			c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: at.name, Labels: map[string]string{"key": fmt.Sprint(draw.IntN(4))}}}
			there[at] = wholly(c)
			ix.add(at, c, there[at])
		}
		want := map[string]int{"all": len(there)}
		for _, h := range there {
			want[h.whole.Labels["key"]]++
		}
		for _, key := range []string{"all", "0", "1", "2", "3"} {
			got := ix.all(key)
			if len(got) != want[key] {
				t.Fatalf("%d objects at %q, want %d", len(got), key, want[key])
			}
			for _, h := range got {
				if there[h.place()] != h {
					t.Fatalf("%v at %q is not the one that is there", h.place(), key)
				}
			}
		}
	}
	for at, h := range there {
		ix.remove(at, h.whole)
	}
	if len(ix.keys) != 0 {
		t.Errorf("%d keys are left of nothing", len(ix.keys))
	}
}
