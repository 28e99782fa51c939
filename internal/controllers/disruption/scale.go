package disruption

import (
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// owner is what a pod belongs to in the end, and how many pods it wants.
type owner struct {
	uid      types.UID
	replicas int32
}

// scale finds the owner of a pod with a controller. It returns an error for controllers of kinds whose scale is not known.
func (d *controller) scale(pod *corev1.Pod) (owner, error) {
	ref := metav1.GetControllerOf(pod)
	switch ref.APIVersion + "/" + ref.Kind {
	case "apps/v1/ReplicaSet":
		rs, ok := d.replicaSets.Get(pod.Namespace, ref.Name)
		if !ok || rs.UID != ref.UID {
			return owner{}, gone(pod, ref)
		}
		if up := metav1.GetControllerOf(rs); up != nil && up.Kind == "Deployment" {
			if dep, ok := d.deployments.Get(pod.Namespace, up.Name); ok && dep.UID == up.UID {
				return owner{dep.UID, count(dep.Spec.Replicas)}, nil
			}
		}
		return owner{rs.UID, count(rs.Spec.Replicas)}, nil
	case "apps/v1/StatefulSet":
		if s, ok := d.stateful.Get(pod.Namespace, ref.Name); ok && s.UID == ref.UID {
			return owner{s.UID, count(s.Spec.Replicas)}, nil
		}
	case "v1/ReplicationController":
		if rc, ok := d.controllers.Get(pod.Namespace, ref.Name); ok && rc.UID == ref.UID {
			return owner{rc.UID, count(rc.Spec.Replicas)}, nil
		}
	default:
		return owner{}, fmt.Errorf("%s does not implement the scale subresource", ref.Kind)
	}
	return owner{}, gone(pod, ref)
}

func gone(pod *corev1.Pod, ref *metav1.OwnerReference) error {
	return fmt.Errorf("found no controllers for pod %q: %s %q is gone", pod.Name, ref.Kind, ref.Name)
}

func count(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// isNil says whether there is nothing behind an interface.
func isNil(o metav1.Object) bool { return o == nil || reflect.ValueOf(o).IsNil() }
