package api

import (
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/batch"
	"k8s.io/kubernetes/pkg/apis/batch/validation"
)

// jobOptions tell what of a job may change: its pod template only while it is suspended and has no pods.
func jobOptions(j, old *batch.Job) validation.JobValidationOptions {
	o := validation.JobValidationOptions{PodValidationOptions: podutil.GetValidationOptionsFromPodTemplate(&j.Spec.Template, &old.Spec.Template)}
	o.AllowInvalidLabelValueInSelector = o.AllowInvalidLabelValueInSelector || metavalidation.LabelSelectorHasInvalidLabelValue(old.Spec.Selector)
	suspended, started := deref(old.Spec.Suspend), old.Status.StartTime != nil
	resting := suspended && old.Status.Active == 0 && (!started || validation.IsConditionTrue(old.Status.Conditions, batch.JobSuspended))
	o.AllowMutableSchedulingDirectives = suspended && !started
	if gate("MutableSchedulingDirectivesForSuspendedJobs") {
		o.AllowMutableSchedulingDirectives = resting
	}
	o.AllowMutablePodResources = resting && gate("MutablePodResourcesForSuspendedJobs")
	_, named := old.Spec.Template.Labels[batch.JobNameLabel]
	_, owned := old.Spec.Template.Labels[batch.ControllerUidLabel]
	o.RequirePrefixedLabels = named && owned
	return o
}

// jobStatusOptions ask for each consistency rule only when what it speaks of changes, so that an object that was stored
// inconsistent can still be repaired.
func jobStatusOptions(j, old *batch.Job) validation.JobStatusValidationOptions {
	if !gate("JobManagedBy") {
		return validation.JobStatusValidationOptions{}
	}
	n, o := &j.Status, &old.Status
	turned := func(t batch.JobConditionType) bool {
		return validation.IsConditionTrue(o.Conditions, t) != validation.IsConditionTrue(n.Conditions, t)
	}
	indexed := deref(j.Spec.CompletionMode) == batch.IndexedCompletion
	finished := validation.IsJobFinished(old) != validation.IsJobFinished(j)
	complete := validation.IsJobComplete(old) != validation.IsJobComplete(j)
	failed := validation.IsJobFailed(old) != validation.IsJobFailed(j)
	completedIndexes := o.CompletedIndexes != n.CompletedIndexes
	failedIndexes := !sameValue(o.FailedIndexes, n.FailedIndexes)
	active, ready := o.Active != n.Active, !sameValue(o.Ready, n.Ready)
	start, completion := !samePointer(o.StartTime, n.StartTime), !samePointer(o.CompletionTime, n.CompletionTime)
	nothingToDo := deref(j.Spec.Suspend) && j.Spec.Completions != nil && *j.Spec.Completions == 0
	resuming := validation.IsConditionTrue(o.Conditions, batch.JobSuspended) && validation.IsConditionFalse(n.Conditions, batch.JobSuspended)
	return validation.JobStatusValidationOptions{
		RejectDecreasingSucceededCounter:             !indexed || !sameValue(j.Spec.Completions, j.Spec.Parallelism),
		RejectDecreasingFailedCounter:                true,
		RejectDisablingTerminalCondition:             true,
		RejectInvalidCompletedIndexes:                completedIndexes,
		RejectInvalidFailedIndexes:                   failedIndexes,
		RejectCompletedIndexesForNonIndexedJob:       completedIndexes,
		RejectFailedIndexesForNoBackoffLimitPerIndex: failedIndexes,
		RejectFailedIndexesOverlappingCompleted:      failedIndexes || completedIndexes,
		RejectFailedJobWithoutFailureTarget:          failed || failedIndexes,
		RejectCompleteJobWithoutSuccessCriteriaMet:   complete || turned(batch.JobSuccessCriteriaMet),
		RejectFinishedJobWithActivePods:              finished || active,
		RejectFinishedJobWithoutStartTime:            (finished || start) && !nothingToDo,
		RejectFinishedJobWithUncountedTerminatedPods: finished || !sameValue(o.UncountedTerminatedPods, n.UncountedTerminatedPods),
		RejectStartTimeUpdateForUnsuspendedJob:       start && !resuming,
		RejectCompletionTimeBeforeStartTime:          start || completion,
		RejectMutatingCompletionTime:                 true,
		RejectNotCompleteJobWithCompletionTime:       complete || completion,
		RejectCompleteJobWithoutCompletionTime:       complete || completion,
		RejectCompleteJobWithFailedCondition:         complete || failed,
		RejectCompleteJobWithFailureTargetCondition:  complete || turned(batch.JobFailureTarget),
		RejectMoreReadyThanActivePods:                ready || active,
		RejectFinishedJobWithTerminatingPods:         finished || !sameValue(o.Terminating, n.Terminating),
	}
}

// samePointer compares what two pointers point to; two nils are the same.
func samePointer[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
