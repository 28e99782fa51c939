package job

import (
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/controllers/pods"
)

// tally is what a Job's pods amount to, with the status that records it.
type tally struct {
	active, ending []*corev1.Pod
	ready          int32
	ended          []*corev1.Pod // not counted for good yet
	status         batchv1.JobStatus
	done, lost     indexes // of an Indexed Job: succeeded, and failed for good
	failuresOf     map[int]failures
	failJob        string    // what a FailJob rule said
	failed         []failing // in the order of time
	lastSuccess    time.Time
	restarts       int32 // of containers in pods that go on
}

// failures of one index that its next pod takes over.
type failures struct {
	counted, ignored int
	last             *corev1.Pod
}

type failing struct {
	at    time.Time
	index int
}

// succeeded and failures count what is certain and what is on its way to be.
func (t *tally) succeeded() int32 {
	return t.status.Succeeded + int32(len(t.status.UncountedTerminatedPods.Succeeded))
}

func (t *tally) failures() int32 {
	return t.status.Failed + int32(len(t.status.UncountedTerminatedPods.Failed))
}

func indexed(job *batchv1.Job) bool {
	return job.Spec.CompletionMode != nil && *job.Spec.CompletionMode == batchv1.IndexedCompletion
}

// count is pure.
func count(job *batchv1.Job, mine []*corev1.Pod) tally {
	t := tally{status: *job.Status.DeepCopy(), failuresOf: map[int]failures{}}
	if t.status.UncountedTerminatedPods == nil {
		t.status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	}
	if indexed(job) {
		t.done = parseIndexes(t.status.CompletedIndexes, int(*job.Spec.Completions))
		if t.status.FailedIndexes != nil {
			t.lost = parseIndexes(*t.status.FailedIndexes, int(*job.Spec.Completions))
		}
	}
	t.settle(job, mine)
	slices.SortFunc(mine, func(a, b *corev1.Pod) int { return finished(a).Compare(finished(b)) })
	for _, p := range mine {
		t.add(job, p)
	}
	if indexed(job) {
		t.status.CompletedIndexes = t.done.String()
		t.status.Succeeded = int32(len(t.done)) // the set is what counts; it has all that were ever seen
		t.status.UncountedTerminatedPods.Succeeded = nil
		if job.Spec.BackoffLimitPerIndex != nil {
			text := t.lost.String()
			t.status.FailedIndexes = &text
		}
	}
	ready, ending := t.ready, int32(len(t.ending))
	t.status.Active, t.status.Ready, t.status.Terminating = int32(len(t.active)), &ready, &ending
	return t
}

// settle turns UIDs whose pods have lost their finalizer, or are gone, into numbers.
func (t *tally) settle(job *batchv1.Job, mine []*corev1.Pod) {
	waiting := map[types.UID]bool{}
	for _, p := range mine {
		if tracked(p) {
			waiting[p.UID] = true
		}
	}
	u := t.status.UncountedTerminatedPods
	number := func(list []types.UID, total *int32) []types.UID {
		return slices.DeleteFunc(list, func(uid types.UID) bool {
			if !waiting[uid] {
				*total++
			}
			return !waiting[uid]
		})
	}
	u.Succeeded = number(u.Succeeded, &t.status.Succeeded)
	u.Failed = number(u.Failed, &t.status.Failed)
}

func (t *tally) add(job *batchv1.Job, p *corev1.Pod) {
	i := -1
	if indexed(job) {
		if i = indexOf(p); i < 0 || i >= int(*job.Spec.Completions) {
			i = -1
		}
	}
	switch {
	case p.Status.Phase == corev1.PodSucceeded:
		t.addSuccess(job, p, i)
	case hasFailed(job, p):
		t.addFailure(job, p, i)
	case p.DeletionTimestamp != nil:
		t.ending = append(t.ending, p)
		return
	default:
		t.active = append(t.active, p)
		if pods.Ready(p) {
			t.ready++
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			t.restarts += c.RestartCount
		}
	}
	if p.DeletionTimestamp != nil && !pods.Ended(p) {
		t.ending = append(t.ending, p)
	}
}

func (t *tally) addSuccess(job *batchv1.Job, p *corev1.Pod, i int) {
	t.lastSuccess = finished(p)
	if i >= 0 && !t.lost.has(i) {
		t.done = t.done.with(i)
	}
	if !tracked(p) {
		return
	}
	t.ended = append(t.ended, p)
	if u := t.status.UncountedTerminatedPods; !indexed(job) && !slices.Contains(u.Succeeded, p.UID) {
		u.Succeeded = append(u.Succeeded, p.UID)
	}
}

func (t *tally) addFailure(job *batchv1.Job, p *corev1.Pod, i int) {
	v := judge(job.Spec.PodFailurePolicy, p)
	if v.action == batchv1.PodFailurePolicyActionFailJob && t.failJob == "" {
		t.failJob = v.message
	}
	t.failed = append(t.failed, failing{finished(p), i})
	if i >= 0 && job.Spec.BackoffLimitPerIndex != nil {
		t.failIndex(job, p, i, v)
	}
	if !tracked(p) {
		return
	}
	t.ended = append(t.ended, p)
	u := t.status.UncountedTerminatedPods
	if v.action != batchv1.PodFailurePolicyActionIgnore && !slices.Contains(u.Failed, p.UID) {
		u.Failed = append(u.Failed, p.UID)
	}
}

// failIndex keeps how often an index has failed, in its youngest failed pod, and gives it up beyond the limit.
func (t *tally) failIndex(job *batchv1.Job, p *corev1.Pod, i int, v verdict) {
	f := failures{last: p}
	f.counted, _ = strconv.Atoi(p.Annotations[batchv1.JobIndexFailureCountAnnotation])
	f.ignored, _ = strconv.Atoi(p.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation])
	if v.action == batchv1.PodFailurePolicyActionIgnore {
		f.ignored++
	} else {
		f.counted++
	}
	if old, ok := t.failuresOf[i]; !ok || f.counted+f.ignored > old.counted+old.ignored {
		t.failuresOf[i] = f
	}
	if !t.done.has(i) && (v.action == batchv1.PodFailurePolicyActionFailIndex || f.counted > int(*job.Spec.BackoffLimitPerIndex)) {
		t.lost = t.lost.with(i)
	}
}

// counted are the pods that the status holds now, so that their finalizer may go. The youngest failed pod of an index
// stays until there is one after it, which takes over its count.
func (t *tally) counted(d decision) (out []*corev1.Pod) {
	for _, p := range t.ended {
		i := indexOf(p)
		f, waits := t.failuresOf[i]
		if waits && f.last == p && !d.finishing && !t.lost.has(i) && !t.done.has(i) && p.DeletionTimestamp == nil {
			continue
		}
		out = append(out, p)
	}
	return out
}

// hasFailed reports whether a pod counts as failed. A deleted one does at once, unless the Job replaces only what has failed, or
// the controller itself has let it go: it was too much.
func hasFailed(job *batchv1.Job, p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodFailed {
		return true
	}
	return p.DeletionTimestamp != nil && tracked(p) && !onlyFailed(job)
}

func onlyFailed(job *batchv1.Job) bool {
	return job.Spec.PodReplacementPolicy != nil && *job.Spec.PodReplacementPolicy == batchv1.Failed
}

// finished is when a pod's last container ended, or else the best that is known.
func finished(p *corev1.Pod) (at time.Time) {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if t := c.State.Terminated; t != nil && t.FinishedAt.After(at) {
			at = t.FinishedAt.Time
		}
	}
	switch {
	case !at.IsZero():
	case p.DeletionTimestamp != nil:
		at = p.DeletionTimestamp.Time
	default:
		if c := pods.Condition(p, corev1.PodReady); c != nil {
			at = c.LastTransitionTime.Time
		} else {
			at = p.CreationTimestamp.Time
		}
	}
	return at
}
