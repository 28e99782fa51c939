package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/cache"
	"minato.dev/minato/internal/store"
)

// remembering returns one pod in a cache, which remembers renderings.
func remembering(t *testing.T, p *corev1.Pod) *cache.Object {
	t.Helper()
	value, err := api.EncodeStorage(p)
	if err != nil {
		t.Fatal(err)
	}
	st := store.NewMemory()
	key := "/registry/pods/" + p.Namespace + "/" + p.Name
	if _, err := st.Create(t.Context(), key, value, 0); err != nil {
		t.Fatal(err)
	}
	r := api.Find(schema.GroupVersionResource{Version: "v1", Resource: "pods"})
	c := cache.New(st, cache.Config{SoleWriter: true, Resources: []cache.Resource{{Prefix: r.Prefix + "/", Index: indexer(r)}}})
	loaded := make(chan struct{})
	go func() { _ = c.Run(t.Context(), func() { close(loaded) }) }()
	<-loaded
	o, ok := c.Get(key)
	if !ok {
		t.Fatal("not there")
	}
	return o
}

// TestRememberedCellsAge: at any time cells are what they would be if nothing were remembered.
func TestRememberedCellsAge(t *testing.T) {
	born := time.Unix(1700000000, 0)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", CreationTimestamp: metav1.NewTime(born)},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	p.Status.Phase = corev1.PodRunning
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", Ready: true, RestartCount: 2, LastTerminationState: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(born.Add(37 * time.Minute))}}, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	o := remembering(t, p)
	r := &resource{Resource: api.Find(schema.GroupVersionResource{Version: "v1", Resource: "pods"})}
	obj, err := r.object(o)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	at := born.Add(-3 * time.Second)
	for step := time.Second; at.Before(born.Add(1000 * 24 * time.Hour)); step += step / 40 {
		for _, now := range []time.Time{at, at.Add(time.Second / 3), at.Add(-step / 2)} { // clocks may be set back
			got, err := r.cellsJSON(o, now)
			if err != nil {
				t.Fatal(err)
			}
			row, err := r.cells(obj, now)
			if err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			if cells := string(got.AppendTo(nil)[cellsHead:]); cells != string(want) {
				t.Fatalf("%v after its creation: %s, want %s", now.Sub(born), cells, want)
			}
			seen[string(want)] = true
		}
		at = at.Add(step)
	}
	if len(seen) < 100 || !strings.Contains(fmt.Sprint(seen), "ago") {
		t.Errorf("only %d different rows", len(seen))
	}
}
