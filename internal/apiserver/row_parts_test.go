package apiserver

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/api"
)

// TestRowsOfParts: rows that are made of parts of an object are those of the whole object, of random ones of each kind that names parts.
func TestRowsOfParts(t *testing.T) {
	draw, now, kinds := filler{rand.New(rand.NewPCG(11, 12))}, time.Unix(5000, 0), 0
	for _, kind := range api.Stored() {
		if kind.RowParts == nil {
			continue
		}
		kinds++
		r := &resource{Resource: kind}
		different := map[string]bool{}
		for range 3000 {
			whole := draw.object(t, kind)
			if p, ok := whole.(*corev1.Pod); ok {
				draw.alive(p)
			}
			value, err := api.EncodeStorage(whole)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := rawMessage(value)
			if err != nil {
				t.Fatal(err)
			}
			some, err := appendParts(nil, raw, kind.RowParts)
			if err != nil {
				t.Fatal(err)
			}
			part, err := api.Scheme().New(kind.Storage)
			if err != nil {
				t.Fatal(err)
			}
			if err := part.(interface{ Unmarshal([]byte) error }).Unmarshal(some); err != nil {
				t.Fatal(err)
			}
			want, errWant := r.cells(whole, now)
			got, errGot := r.cells(part, now)
			if errWant != nil || errGot != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %v (%v) of the parts, %v (%v) of the whole", kind.Kind, got, errGot, want, errWant)
			}
			different[fmt.Sprint(want)] = true
		}
		if len(different) < 1000 {
			t.Errorf("%s: only %d rows were different", kind.Kind, len(different))
		}
	}
	if kinds == 0 {
		t.Error("no kind names parts")
	}
}

// alive gives a random pod values that its row understands.
func (f filler) alive(p *corev1.Pod) {
	types := []corev1.PodConditionType{corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized, "gate"}
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		c.Type, c.Status, c.Reason = types[f.IntN(4)], []corev1.ConditionStatus{"True", "False"}[f.IntN(2)], []string{"", corev1.PodReasonSchedulingGated}[f.IntN(2)]
	}
	for i := range p.Spec.ReadinessGates {
		p.Spec.ReadinessGates[i].ConditionType = types[f.IntN(4)]
	}
	always := corev1.ContainerRestartPolicyAlways
	for i := range p.Spec.InitContainers {
		p.Spec.InitContainers[i].RestartPolicy = []*corev1.ContainerRestartPolicy{nil, &always}[f.IntN(2)]
	}
	p.Status.Phase = []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed}[f.IntN(4)]
	p.Status.Reason = []string{"", "", "NodeLost", "Evicted"}[f.IntN(4)]
}
