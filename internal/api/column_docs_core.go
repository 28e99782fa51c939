package api

import (
	corev1 "k8s.io/api/core/v1"
)

// coreColumns documents the columns of the core group's kinds.
func coreColumns(plural string) docs {
	switch plural {
	case "pods":
		return docs{
			"Ready":    "The aggregate readiness state of this pod for accepting traffic.",
			"Status":   "The aggregate status of the containers in this pod.",
			"Restarts": "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
			"IP":       doc(corev1.PodStatus{}, "podIP"), "Node": doc(corev1.PodSpec{}, "nodeName"),
			"Nominated Node": doc(corev1.PodStatus{}, "nominatedNodeName"), "Readiness Gates": doc(corev1.PodSpec{}, "readinessGates"),
		}
	case "podtemplates":
		return docs{
			"Containers": "Names of each container in the template.", "Images": "Images referenced by each container in the template.",
			"Pod Labels": "The labels for the pod template.",
		}
	case "replicationcontrollers":
		return docs{
			"Desired": doc(corev1.ReplicationControllerSpec{}, "replicas"), "Current": doc(corev1.ReplicationControllerStatus{}, "replicas"),
			"Ready": doc(corev1.ReplicationControllerStatus{}, "readyReplicas"), "Containers": "Names of each container in the template.",
			"Images": "Images referenced by each container in the template.", "Selector": doc(corev1.ReplicationControllerSpec{}, "selector"),
		}
	case "services":
		return docs{
			"Type": doc(corev1.ServiceSpec{}, "type"), "Cluster-IP": doc(corev1.ServiceSpec{}, "clusterIP"),
			"External-IP": doc(corev1.ServiceSpec{}, "externalIPs"), "Port(s)": doc(corev1.ServiceSpec{}, "ports"),
			"Selector": doc(corev1.ServiceSpec{}, "selector"),
		}
	case "endpoints":
		return docs{"Endpoints": doc(corev1.Endpoints{}, "subsets")}
	case "nodes":
		return docs{
			"Status": "The status of the node", "Roles": "The roles of the node", "Version": doc(corev1.NodeSystemInfo{}, "kubeletVersion"),
			"Internal-IP": doc(corev1.NodeStatus{}, "addresses"), "External-IP": doc(corev1.NodeStatus{}, "addresses"),
			"OS-Image": doc(corev1.NodeSystemInfo{}, "osImage"), "Kernel-Version": doc(corev1.NodeSystemInfo{}, "kernelVersion"),
			"Container-Runtime": doc(corev1.NodeSystemInfo{}, "containerRuntimeVersion"),
		}
	case "events":
		return docs{
			"Last Seen": doc(corev1.Event{}, "lastTimestamp"), "Type": doc(corev1.Event{}, "type"), "Reason": doc(corev1.Event{}, "reason"),
			"Object": doc(corev1.Event{}, "involvedObject"), "Subobject": doc(corev1.ObjectReference{}, "fieldPath"),
			"Source": doc(corev1.Event{}, "source"), "Message": doc(corev1.Event{}, "message"),
			"First Seen": doc(corev1.Event{}, "firstTimestamp"), "Count": doc(corev1.Event{}, "count"),
		}
	case "namespaces":
		return docs{"Status": "The status of the namespace"}
	case "secrets":
		return docs{"Type": doc(corev1.Secret{}, "type"), "Data": doc(corev1.Secret{}, "data")}
	case "persistentvolumes":
		return docs{
			"Capacity": doc(corev1.PersistentVolumeSpec{}, "capacity"), "Access Modes": doc(corev1.PersistentVolumeSpec{}, "accessModes"),
			"Reclaim Policy": doc(corev1.PersistentVolumeSpec{}, "persistentVolumeReclaimPolicy"),
			"Status":         doc(corev1.PersistentVolumeStatus{}, "phase"), "Claim": doc(corev1.PersistentVolumeSpec{}, "claimRef"),
			"StorageClass": "StorageClass of the pv", "VolumeAttributesClass": "VolumeAttributesClass of the pv",
			"Reason": doc(corev1.PersistentVolumeStatus{}, "reason"), "VolumeMode": doc(corev1.PersistentVolumeSpec{}, "volumeMode"),
		}
	case "persistentvolumeclaims":
		return docs{
			"Status": doc(corev1.PersistentVolumeClaimStatus{}, "phase"), "Volume": doc(corev1.PersistentVolumeClaimSpec{}, "volumeName"),
			"Capacity":     doc(corev1.PersistentVolumeClaimStatus{}, "capacity"),
			"Access Modes": doc(corev1.PersistentVolumeClaimStatus{}, "accessModes"), "StorageClass": "StorageClass of the pvc",
			"VolumeAttributesClass": "VolumeAttributesClass of the pvc", "VolumeMode": doc(corev1.PersistentVolumeClaimSpec{}, "volumeMode"),
		}
	case "componentstatuses":
		return docs{
			"Status": "Status of the component conditions", "Message": "Message of the component conditions",
			"Error": "Error of the component conditions",
		}
	case "configmaps":
		return docs{"Data": doc(corev1.ConfigMap{}, "data")}
	case "resourcequotas":
		return docs{
			"Request": "Request represents a minimum amount of cpu/memory that a container may consume.",
			"Limit":   "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
		}
	}
	return nil
}
