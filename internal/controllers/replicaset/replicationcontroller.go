package replicaset

import (
	"context"
	"log/slog"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/adoption"
)

// NewReplicationController returns the controller of ReplicationControllers, the elder form of ReplicaSets: it reads them as
// ReplicaSets with a plain selector and writes their status back.
func NewReplicationController(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	rcs := client.ViewOf(vs, client.ReplicationControllers)
	r := open(vs, events, kind{
		gvk: client.ReplicationControllers.GVK(),
		list: func(ns string) (sets []*appsv1.ReplicaSet) {
			for _, rc := range rcs.List(ns, nil) {
				sets = append(sets, asReplicaSet(rc))
			}
			return sets
		},
		get: func(ns, name string) (*appsv1.ReplicaSet, bool) {
			rc, ok := rcs.Get(ns, name)
			if !ok {
				return nil, false
			}
			return asReplicaSet(rc), true
		},
		writeStatus: func(ctx context.Context, rs *appsv1.ReplicaSet) error {
			rc, ok := rcs.Get(rs.Namespace, rs.Name)
			if !ok || rc.UID != rs.UID {
				return nil // gone meanwhile
			}
			changed := rc.DeepCopy()
			changed.ResourceVersion = rs.ResourceVersion
			changed.Status = controllerStatus(rs.Status)
			_, err := client.Of(vs.Client(), client.ReplicationControllers).UpdateStatus(ctx, changed)
			return err
		},
		mayAdopt: adoption.Of(vs.Client(), client.ReplicationControllers),
	})
	return control.Controller{
		Name: "replicationcontroller", Workers: 4,
		Sources:   []control.Source{control.Self(rcs), control.On(r.pods, r.ofPod)},
		Writes:    []string{"replicationcontrollers/status", "pods:replicationcontroller"},
		Reconcile: r.reconcile,
	}
}

// asReplicaSet shares what it can with rc, which nobody may change.
func asReplicaSet(rc *corev1.ReplicationController) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{ObjectMeta: rc.ObjectMeta, Spec: appsv1.ReplicaSetSpec{
		Replicas: rc.Spec.Replicas, MinReadySeconds: rc.Spec.MinReadySeconds,
		Selector: &metav1.LabelSelector{MatchLabels: rc.Spec.Selector},
	}}
	rs.SetGroupVersionKind(client.ReplicationControllers.GVK()) // events name the real kind
	if rc.Spec.Template != nil {
		rs.Spec.Template = *rc.Spec.Template
	}
	st := rc.Status
	rs.Status = appsv1.ReplicaSetStatus{Replicas: st.Replicas, FullyLabeledReplicas: st.FullyLabeledReplicas, ReadyReplicas: st.ReadyReplicas,
		AvailableReplicas: st.AvailableReplicas, ObservedGeneration: st.ObservedGeneration}
	for _, c := range st.Conditions {
		rs.Status.Conditions = append(rs.Status.Conditions, appsv1.ReplicaSetCondition{Type: appsv1.ReplicaSetConditionType(c.Type), Status: c.Status,
			LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message})
	}
	return rs
}

// controllerStatus is the way back.
func controllerStatus(st appsv1.ReplicaSetStatus) corev1.ReplicationControllerStatus {
	out := corev1.ReplicationControllerStatus{Replicas: st.Replicas, FullyLabeledReplicas: st.FullyLabeledReplicas, ReadyReplicas: st.ReadyReplicas,
		AvailableReplicas: st.AvailableReplicas, ObservedGeneration: st.ObservedGeneration}
	for _, c := range st.Conditions {
		out.Conditions = append(out.Conditions, corev1.ReplicationControllerCondition{Type: corev1.ReplicationControllerConditionType(c.Type), Status: c.Status,
			LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message})
	}
	return out
}
