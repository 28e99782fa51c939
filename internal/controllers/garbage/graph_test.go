package garbage

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestLastReferenceWakesTheOwner: an owner that waits for its dependents is looked at when one lets go of it and lives on.
func TestLastReferenceWakesTheOwner(t *testing.T) {
	g := newGraph()
	g.put(&object{uid: "going", deleting: true, finalizer: metav1.FinalizerDeleteDependents})
	g.put(&object{uid: "staying"})
	g.put(&object{uid: "pod", owners: []metav1.OwnerReference{{UID: "going"}, {UID: "staying"}}})
	look := g.put(&object{uid: "pod", owners: []metav1.OwnerReference{{UID: "staying"}}})
	if !slices.Contains(look, types.UID("going")) {
		t.Errorf("looks at %v only", look)
	}
}
