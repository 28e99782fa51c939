package bootstrap

import (
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The built-in priorities. User classes must stay at or below a billion.
const systemCritical = 2 * 1000000000

func priorityClasses() (list []wanted) {
	for _, c := range []struct {
		name, description string
		value             int32
	}{
		{"system-node-critical", "Used for system critical pods that must not be moved from their current node.", systemCritical + 1000},
		{"system-cluster-critical", "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.", systemCritical},
	} {
		list = append(list, wanted{schedulingv1.Resource("priorityclasses"), &schedulingv1.PriorityClass{
			ObjectMeta: metav1.ObjectMeta{Name: c.name, Generation: 1}, Value: c.value, Description: c.description}, keep})
	}
	return list
}
