package job

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestIndexes(t *testing.T) {
	for _, c := range []struct {
		text string
		more []int
		want string
	}{
		{"", nil, ""},
		{"", []int{3, 1, 3}, "1,3"},
		{"1,3-5,7", []int{4, 2}, "1-5,7"},
		{"0-9", []int{4}, "0-9"},
		{"8-12,x,-1", nil, "8,9"},
		{"5,1", nil, "1,5"},
	} {
		was := parseIndexes(c.text, 10)
		before := was.String()
		if got := was.with(c.more...).String(); got != c.want || was.String() != before {
			t.Errorf("%q with %v: %q, want %q; it was %q", c.text, c.more, got, c.want, before)
		}
	}
}

// TestManyIndexes: what a change of one pod costs does not grow with the product of pods and indexes.
func TestManyIndexes(t *testing.T) {
	const completions, running = 10_000, 1000
	job := &batchv1.Job{}
	mode, n, parallel, limit := batchv1.IndexedCompletion, int32(completions), int32(running), int32(6)
	job.Spec = batchv1.JobSpec{CompletionMode: &mode, Completions: &n, Parallelism: &parallel, BackoffLimit: &limit}
	job.Status.CompletedIndexes, job.Status.Succeeded = "0-4999", 5000
	var mine []*corev1.Pod
	for i := range running - 1 {
		mine = append(mine, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{batchv1.JobCompletionIndexAnnotation: fmt.Sprint(5000 + i)}}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d := decide(job, count(job, mine), time.Now())
	runtime.ReadMemStats(&after)
	if fmt.Sprint(d.createIndexes) != "[5999]" || len(d.drop) > 0 {
		t.Errorf("makes %v and takes away %d", d.createIndexes, len(d.drop))
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("%d bytes allocated, which is a set of indexes for each pod", allocated)
	}
}
