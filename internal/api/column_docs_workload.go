package api

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// workloadColumns documents the columns of the kinds that run, scale and protect pods.
func workloadColumns(plural string) docs {
	switch plural {
	case "poddisruptionbudgets":
		return docs{
			"Min Available":       "The minimum number of pods that must be available.",
			"Max Unavailable":     "The maximum number of pods that may be unavailable.",
			"Allowed Disruptions": "Calculated number of pods that may be disrupted at this time.",
		}
	case "replicasets":
		return docs{
			"Desired": doc(appsv1.ReplicaSetSpec{}, "replicas"), "Current": doc(appsv1.ReplicaSetStatus{}, "replicas"),
			"Ready": doc(appsv1.ReplicaSetStatus{}, "readyReplicas"), "Containers": "Names of each container in the template.",
			"Images": "Images referenced by each container in the template.", "Selector": doc(appsv1.ReplicaSetSpec{}, "selector"),
		}
	case "daemonsets":
		return docs{
			"Desired": doc(appsv1.DaemonSetStatus{}, "desiredNumberScheduled"),
			"Current": doc(appsv1.DaemonSetStatus{}, "currentNumberScheduled"), "Ready": doc(appsv1.DaemonSetStatus{}, "numberReady"),
			"Up-to-date": doc(appsv1.DaemonSetStatus{}, "updatedNumberScheduled"),
			"Available":  doc(appsv1.DaemonSetStatus{}, "numberAvailable"), "Node Selector": doc(corev1.PodSpec{}, "nodeSelector"),
			"Containers": "Names of each container in the template.", "Images": "Images referenced by each container in the template.",
			"Selector": doc(appsv1.DaemonSetSpec{}, "selector"),
		}
	case "jobs":
		return docs{
			"Status": "Status of the job.", "Completions": doc(batchv1.JobStatus{}, "succeeded"),
			"Duration": "Time required to complete the job.", "Containers": "Names of each container in the template.",
			"Images": "Images referenced by each container in the template.", "Selector": doc(batchv1.JobSpec{}, "selector"),
		}
	case "cronjobs":
		return docs{
			"Schedule": doc(batchv1.CronJobSpec{}, "schedule"), "Timezone": doc(batchv1.CronJobSpec{}, "timeZone"),
			"Suspend": doc(batchv1.CronJobSpec{}, "suspend"), "Active": doc(batchv1.CronJobStatus{}, "active"),
			"Last Schedule": doc(batchv1.CronJobStatus{}, "lastScheduleTime"), "Containers": "Names of each container in the template.",
			"Images": "Images referenced by each container in the template.", "Selector": doc(batchv1.JobSpec{}, "selector"),
		}
	case "statefulsets":
		return docs{
			"Ready": "Number of the pod with ready state", "Containers": "Names of each container in the template.",
			"Images": "Images referenced by each container in the template.",
		}
	case "deployments":
		return docs{
			"Ready": "Number of the pod with ready state", "Up-to-date": doc(appsv1.DeploymentStatus{}, "updatedReplicas"),
			"Available": doc(appsv1.DeploymentStatus{}, "availableReplicas"), "Containers": "Names of each container in the template.",
			"Images": "Images referenced by each container in the template.", "Selector": doc(appsv1.DeploymentSpec{}, "selector"),
		}
	case "horizontalpodautoscalers":
		return docs{
			"Reference": doc(autoscalingv2.HorizontalPodAutoscalerSpec{}, "scaleTargetRef"),
			"Targets":   doc(autoscalingv2.HorizontalPodAutoscalerSpec{}, "metrics"),
			"MinPods":   doc(autoscalingv2.HorizontalPodAutoscalerSpec{}, "minReplicas"),
			"MaxPods":   doc(autoscalingv2.HorizontalPodAutoscalerSpec{}, "maxReplicas"),
			"Replicas":  doc(autoscalingv2.HorizontalPodAutoscalerStatus{}, "currentReplicas"),
		}
	case "controllerrevisions":
		return docs{"Controller": "Controller of the object", "Revision": doc(appsv1.ControllerRevision{}, "revision")}
	}
	return nil
}
