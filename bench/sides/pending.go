package sides

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

// account is the service account of pending pods: upstream's control plane alone makes none.
const account = "bench"

// Pending writes nodes, and pods that wait for a scheduler and may run on any of them.
func Pending(pods, nodes int) Fill {
	return func(put func(string, []byte) error) error {
		scheme := runtime.NewScheme()
		if err := corev1.AddToScheme(scheme); err != nil {
			return err
		}
		var b bytes.Buffer
		sa := &corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: metav1.ObjectMeta{Name: account, Namespace: "default", UID: "5b0c2b1e-5c1f-4d36-9b0a-000000000001"}}
		if err := protobuf.NewSerializer(scheme, scheme).Encode(sa, &b); err != nil {
			return err
		}
		return errors.Join(put("/registry/serviceaccounts/default/"+account, b.Bytes()), Nodes(nodes)(put),
			fillPods(pods, func(_ int, p *corev1.Pod) {
				p.Spec, p.Status = pendingSpec(p.Spec), corev1.PodStatus{Phase: corev1.PodPending, QOSClass: "Burstable"}
			})(put))
	}
}

// PendingPod is one more of them, as a client creates it.
func PendingPod(name string) (string, error) {
	p := pod(0)
	spec := pendingSpec(p.Spec)
	spec.Volumes, spec.ServiceAccountName, spec.DeprecatedServiceAccount = spec.Volumes[:1], account, ""
	for i := range spec.Containers {
		spec.Containers[i].VolumeMounts = spec.Containers[i].VolumeMounts[:1]
	}
	no := false
	spec.AutomountServiceAccountToken = &no
	b, err := json.Marshal(&corev1.Pod{TypeMeta: p.TypeMeta, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: p.Labels}, Spec: spec})
	if err != nil {
		return "", fmt.Errorf("pod %s: %w", name, err)
	}
	return string(b), nil
}

// pendingSpec waits for the default scheduler. The kubelets of the made-up nodes have been away for long, which it
// tolerates: so no controller has anything to do with it afterwards.
func pendingSpec(s corev1.PodSpec) corev1.PodSpec {
	s.SchedulerName, s.NodeSelector = "default-scheduler", map[string]string{Pool: "made-up"}
	s.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	return s
}
