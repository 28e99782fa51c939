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
}

// GVK is the kind's full name.
func (k Kind[T]) GVK() schema.GroupVersionKind { return k.GroupVersion.WithKind(k.Kind) }

// The kinds that Minato's own parts read and write. Any other kind is a Kind literal away.
var (
	Pods            = Kind[*corev1.Pod]{corev1.SchemeGroupVersion, "Pod", "pods", true}
	Nodes           = Kind[*corev1.Node]{corev1.SchemeGroupVersion, "Node", "nodes", false}
	Namespaces      = Kind[*corev1.Namespace]{corev1.SchemeGroupVersion, "Namespace", "namespaces", false}
	Services        = Kind[*corev1.Service]{corev1.SchemeGroupVersion, "Service", "services", true}
	Endpoints       = Kind[*corev1.Endpoints]{corev1.SchemeGroupVersion, "Endpoints", "endpoints", true}
	ConfigMaps      = Kind[*corev1.ConfigMap]{corev1.SchemeGroupVersion, "ConfigMap", "configmaps", true}
	Secrets         = Kind[*corev1.Secret]{corev1.SchemeGroupVersion, "Secret", "secrets", true}
	ServiceAccounts = Kind[*corev1.ServiceAccount]{corev1.SchemeGroupVersion, "ServiceAccount", "serviceaccounts", true}
	Events          = Kind[*corev1.Event]{corev1.SchemeGroupVersion, "Event", "events", true}
	Deployments     = Kind[*appsv1.Deployment]{appsv1.SchemeGroupVersion, "Deployment", "deployments", true}
	ReplicaSets     = Kind[*appsv1.ReplicaSet]{appsv1.SchemeGroupVersion, "ReplicaSet", "replicasets", true}
	DaemonSets      = Kind[*appsv1.DaemonSet]{appsv1.SchemeGroupVersion, "DaemonSet", "daemonsets", true}
	StatefulSets    = Kind[*appsv1.StatefulSet]{appsv1.SchemeGroupVersion, "StatefulSet", "statefulsets", true}
	Jobs            = Kind[*batchv1.Job]{batchv1.SchemeGroupVersion, "Job", "jobs", true}
	CronJobs        = Kind[*batchv1.CronJob]{batchv1.SchemeGroupVersion, "CronJob", "cronjobs", true}
	EndpointSlices  = Kind[*discoveryv1.EndpointSlice]{discoveryv1.SchemeGroupVersion, "EndpointSlice", "endpointslices", true}
	Leases          = Kind[*coordinationv1.Lease]{coordinationv1.SchemeGroupVersion, "Lease", "leases", true}
	NetworkPolicies = Kind[*networkingv1.NetworkPolicy]{networkingv1.SchemeGroupVersion, "NetworkPolicy", "networkpolicies", true}
	PriorityClasses = Kind[*schedulingv1.PriorityClass]{schedulingv1.SchemeGroupVersion, "PriorityClass", "priorityclasses", false}

	PodDisruptionBudgets = Kind[*policyv1.PodDisruptionBudget]{policyv1.SchemeGroupVersion, "PodDisruptionBudget", "poddisruptionbudgets", true}
	ClusterRoles         = Kind[*rbacv1.ClusterRole]{rbacv1.SchemeGroupVersion, "ClusterRole", "clusterroles", false}
	ClusterRoleBindings  = Kind[*rbacv1.ClusterRoleBinding]{rbacv1.SchemeGroupVersion, "ClusterRoleBinding", "clusterrolebindings", false}
)
