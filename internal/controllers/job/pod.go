package job

import (
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// newPod is a pod of a Job, to be counted.
func (j *controller) newPod(job *batchv1.Job) *corev1.Pod {
	p := j.pods.FromTemplate(job, &job.Spec.Template)
	p.Finalizers = append(p.Finalizers, batchv1.JobTrackingFinalizer)
	return p
}

// indexedPod is the pod for one index of an Indexed Job. It finds the index in its hostname, an annotation, a label and the
// environment of each container.
func (j *controller) indexedPod(job *batchv1.Job, t tally, index int) *corev1.Pod {
	const where = batchv1.JobCompletionIndexAnnotation
	p, n := j.newPod(job), strconv.Itoa(index)
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[where], p.Labels[where] = n, n
	if job.Spec.BackoffLimitPerIndex != nil {
		p.Annotations[batchv1.JobIndexFailureCountAnnotation] = strconv.Itoa(t.failuresOf[index].counted)
		if n := t.failuresOf[index].ignored; n > 0 {
			p.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation] = strconv.Itoa(n)
		}
	}
	p.Spec.Hostname = job.Name + "-" + n
	p.GenerateName = p.Spec.Hostname + "-"
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			if slices.ContainsFunc(list[i].Env, func(e corev1.EnvVar) bool { return e.Name == "JOB_COMPLETION_INDEX" }) {
				continue
			}
			list[i].Env = append(list[i].Env, corev1.EnvVar{Name: "JOB_COMPLETION_INDEX", ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['" + where + "']"}}})
		}
	}
	return p
}

// indexOf is the index of a pod, or -1.
func indexOf(p *corev1.Pod) int {
	n, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil || n < 0 {
		return -1
	}
	return n
}
