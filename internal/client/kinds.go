package client

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is any API object.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind ties a Go type to its place in the API.
type Kind[T Object] struct {
	GroupVersion schema.GroupVersion
	Kind         string
	Resource     string
	Namespaced   bool
	metadata     bool // ask for the metadata only
}

// GVK is the kind's full name.
func (k Kind[T]) GVK() schema.GroupVersionKind { return k.GroupVersion.WithKind(k.Kind) }

// The kinds that Minato's own parts read and write. Any other kind is a Kind literal away.
var (
	Pods                = Kind[*corev1.Pod]{GroupVersion: corev1.SchemeGroupVersion, Kind: "Pod", Resource: "pods", Namespaced: true}
	Nodes               = Kind[*corev1.Node]{GroupVersion: corev1.SchemeGroupVersion, Kind: "Node", Resource: "nodes", Namespaced: false}
	Namespaces          = Kind[*corev1.Namespace]{GroupVersion: corev1.SchemeGroupVersion, Kind: "Namespace", Resource: "namespaces", Namespaced: false}
	Services            = Kind[*corev1.Service]{GroupVersion: corev1.SchemeGroupVersion, Kind: "Service", Resource: "services", Namespaced: true}
	Endpoints           = Kind[*corev1.Endpoints]{GroupVersion: corev1.SchemeGroupVersion, Kind: "Endpoints", Resource: "endpoints", Namespaced: true}
	ConfigMaps          = Kind[*corev1.ConfigMap]{GroupVersion: corev1.SchemeGroupVersion, Kind: "ConfigMap", Resource: "configmaps", Namespaced: true}
	Secrets             = Kind[*corev1.Secret]{GroupVersion: corev1.SchemeGroupVersion, Kind: "Secret", Resource: "secrets", Namespaced: true}
	ServiceAccounts     = Kind[*corev1.ServiceAccount]{GroupVersion: corev1.SchemeGroupVersion, Kind: "ServiceAccount", Resource: "serviceaccounts", Namespaced: true}
	Events              = Kind[*corev1.Event]{GroupVersion: corev1.SchemeGroupVersion, Kind: "Event", Resource: "events", Namespaced: true}
	Deployments         = Kind[*appsv1.Deployment]{GroupVersion: appsv1.SchemeGroupVersion, Kind: "Deployment", Resource: "deployments", Namespaced: true}
	ReplicaSets         = Kind[*appsv1.ReplicaSet]{GroupVersion: appsv1.SchemeGroupVersion, Kind: "ReplicaSet", Resource: "replicasets", Namespaced: true}
	DaemonSets          = Kind[*appsv1.DaemonSet]{GroupVersion: appsv1.SchemeGroupVersion, Kind: "DaemonSet", Resource: "daemonsets", Namespaced: true}
	ControllerRevisions = Kind[*appsv1.ControllerRevision]{GroupVersion: appsv1.SchemeGroupVersion, Kind: "ControllerRevision", Resource: "controllerrevisions", Namespaced: true}
	StatefulSets        = Kind[*appsv1.StatefulSet]{GroupVersion: appsv1.SchemeGroupVersion, Kind: "StatefulSet", Resource: "statefulsets", Namespaced: true}
	Jobs                = Kind[*batchv1.Job]{GroupVersion: batchv1.SchemeGroupVersion, Kind: "Job", Resource: "jobs", Namespaced: true}
	CronJobs            = Kind[*batchv1.CronJob]{GroupVersion: batchv1.SchemeGroupVersion, Kind: "CronJob", Resource: "cronjobs", Namespaced: true}
	EndpointSlices      = Kind[*discoveryv1.EndpointSlice]{GroupVersion: discoveryv1.SchemeGroupVersion, Kind: "EndpointSlice", Resource: "endpointslices", Namespaced: true}
	Leases              = Kind[*coordinationv1.Lease]{GroupVersion: coordinationv1.SchemeGroupVersion, Kind: "Lease", Resource: "leases", Namespaced: true}
	NetworkPolicies     = Kind[*networkingv1.NetworkPolicy]{GroupVersion: networkingv1.SchemeGroupVersion, Kind: "NetworkPolicy", Resource: "networkpolicies", Namespaced: true}
	ServiceCIDRs        = Kind[*networkingv1.ServiceCIDR]{GroupVersion: networkingv1.SchemeGroupVersion, Kind: "ServiceCIDR", Resource: "servicecidrs", Namespaced: false}
	IPAddresses         = Kind[*networkingv1.IPAddress]{GroupVersion: networkingv1.SchemeGroupVersion, Kind: "IPAddress", Resource: "ipaddresses", Namespaced: false}
	PriorityClasses     = Kind[*schedulingv1.PriorityClass]{GroupVersion: schedulingv1.SchemeGroupVersion, Kind: "PriorityClass", Resource: "priorityclasses", Namespaced: false}

	ReplicationControllers = Kind[*corev1.ReplicationController]{GroupVersion: corev1.SchemeGroupVersion, Kind: "ReplicationController", Resource: "replicationcontrollers", Namespaced: true}

	PersistentVolumes       = Kind[*corev1.PersistentVolume]{GroupVersion: corev1.SchemeGroupVersion, Kind: "PersistentVolume", Resource: "persistentvolumes", Namespaced: false}
	PersistentVolumeClaims  = Kind[*corev1.PersistentVolumeClaim]{GroupVersion: corev1.SchemeGroupVersion, Kind: "PersistentVolumeClaim", Resource: "persistentvolumeclaims", Namespaced: true}
	VolumeAttributesClasses = Kind[*storagev1.VolumeAttributesClass]{GroupVersion: storagev1.SchemeGroupVersion, Kind: "VolumeAttributesClass", Resource: "volumeattributesclasses", Namespaced: false}

	PodDisruptionBudgets = Kind[*policyv1.PodDisruptionBudget]{GroupVersion: policyv1.SchemeGroupVersion, Kind: "PodDisruptionBudget", Resource: "poddisruptionbudgets", Namespaced: true}
	ClusterRoles         = Kind[*rbacv1.ClusterRole]{GroupVersion: rbacv1.SchemeGroupVersion, Kind: "ClusterRole", Resource: "clusterroles", Namespaced: false}
	ClusterRoleBindings  = Kind[*rbacv1.ClusterRoleBinding]{GroupVersion: rbacv1.SchemeGroupVersion, Kind: "ClusterRoleBinding", Resource: "clusterrolebindings", Namespaced: false}
)
