package bootstrap

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// builtIn are the group versions that the server itself serves, with the priorities by which clients choose among them.
var builtIn = []struct {
	group, version string
	groupPriority  int32
	inGroup        int32 // priority of the version in its group
}{
	{"", "v1", 18000, 1},
	{"apps", "v1", 17800, 15},
	{"events.k8s.io", "v1", 17750, 15},
	{"authentication.k8s.io", "v1", 17700, 15},
	{"authorization.k8s.io", "v1", 17600, 15},
	{"autoscaling", "v2", 17500, 30},
	{"autoscaling", "v1", 17500, 15},
	{"batch", "v1", 17400, 15},
	{"certificates.k8s.io", "v1", 17300, 15},
	{"networking.k8s.io", "v1", 17200, 15},
	{"policy", "v1", 17100, 15},
	{"rbac.authorization.k8s.io", "v1", 17000, 15},
	{"storage.k8s.io", "v1", 16800, 15},
	{"admissionregistration.k8s.io", "v1", 16700, 15},
	{"apiextensions.k8s.io", "v1", 16700, 15},
	{"scheduling.k8s.io", "v1", 16600, 15},
	{"coordination.k8s.io", "v1", 16500, 15},
	{"node.k8s.io", "v1", 16300, 15},
	{"discovery.k8s.io", "v1", 16200, 15},
	{"resource.k8s.io", "v1", 16200, 21},
	{"flowcontrol.apiserver.k8s.io", "v1", 16100, 21},
	{"storagemigration.k8s.io", "v1", 15800, 15},
}

// apiServices say that the built-in group versions are served here.
func apiServices(c Config) (list []wanted) {
	gr := schema.GroupResource{Group: apiregistrationv1.GroupName, Resource: "apiservices"}
	for _, b := range builtIn {
		list = append(list, wanted{gr, &apiregistrationv1.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: b.version + "." + b.group, Labels: map[string]string{"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
			Spec:       apiregistrationv1.APIServiceSpec{Group: b.group, Version: b.version, GroupPriorityMinimum: b.groupPriority, VersionPriority: b.inGroup},
			Status: apiregistrationv1.APIServiceStatus{Conditions: []apiregistrationv1.APIServiceCondition{{Type: apiregistrationv1.Available,
				Status: apiregistrationv1.ConditionTrue, LastTransitionTime: metav1.NewTime(c.Now), Reason: "Local", Message: "Local APIServices are always available"}}},
		}, keep})
	}
	return list
}
