package node

import (
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sightings remembers when each node's lease was last seen to move, by this machine's clock: the node's own may be off.
type sightings struct {
	mu   sync.Mutex
	last map[string]sighting
}

type sighting struct {
	renew time.Time // the lease's renewTime
	ready time.Time // the Ready condition's heartbeat
	at    time.Time // when we saw either move
}

func newSightings() *sightings { return &sightings{last: map[string]sighting{}} }

func (s *sightings) forget(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, node)
}

// renewed returns when the node was last seen alive.
func (s *sightings) renewed(node *corev1.Node, lease *coordinationv1.Lease, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.last[node.Name]
	is := sighting{at: now}
	if lease != nil && lease.Spec.RenewTime != nil {
		is.renew = lease.Spec.RenewTime.Time
	}
	if c := readyCondition(node); c != nil {
		is.ready = c.LastHeartbeatTime.Time
	}
	if known && was.renew.Equal(is.renew) && was.ready.Equal(is.ready) {
		return was.at
	}
	s.last[node.Name] = is
	return is.at
}

func readyCondition(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// verdict is what judge finds.
type verdict struct {
	status []corev1.NodeCondition // to write, or nil
	taints []corev1.Taint
	ready  bool
	again  time.Duration
}

// judge is pure: alive is when the node last showed a sign of life, grace how long it may show none.
func judge(node *corev1.Node, alive, now time.Time, grace time.Duration) verdict {
	c := readyCondition(node)
	v := verdict{ready: c != nil && c.Status == corev1.ConditionTrue}
	if silent := now.Sub(alive); silent >= grace {
		if c == nil || c.Status != corev1.ConditionUnknown {
			v.status = unknown(node, now)
		}
	} else {
		v.again = grace - silent
	}
	v.taints = taints(node, c, now)
	return v
}

// unknown is the node's conditions after its kubelet fell silent.
func unknown(node *corev1.Node, now time.Time) []corev1.NodeCondition {
	out := append([]corev1.NodeCondition(nil), node.Status.Conditions...)
	for _, t := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		c := corev1.NodeCondition{Type: t, Status: corev1.ConditionUnknown, Reason: "NodeStatusNeverUpdated",
			Message: "Kubelet never posted node status.", LastHeartbeatTime: node.CreationTimestamp, LastTransitionTime: metav1.NewTime(now)}
		found := false
		for i := range out {
			if out[i].Type == t {
				found = true
				c.LastHeartbeatTime = out[i].LastHeartbeatTime
				c.Reason, c.Message = "NodeStatusUnknown", "Kubelet stopped posting node status."
				out[i] = c
			}
		}
		if !found {
			out = append(out, c)
		}
	}
	return out
}

// conditionTaints are the NoSchedule taints that stand for conditions (upstream: TaintNodesByCondition).
var conditionTaints = []struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
	key       string
}{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
}

// taints are the taints that the node should have: its own, and those for its conditions.
func taints(node *corev1.Node, ready *corev1.NodeCondition, now time.Time) (out []corev1.Taint) {
	type id struct {
		key    string
		effect corev1.TaintEffect
	}
	want := map[id]bool{}
	for _, ct := range conditionTaints {
		for _, c := range node.Status.Conditions {
			if c.Type == ct.condition && c.Status == ct.status {
				want[id{ct.key, corev1.TaintEffectNoSchedule}] = true
			}
		}
	}
	if ready == nil {
		want[id{corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule}] = true
	}
	if node.Spec.Unschedulable {
		want[id{corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule}] = true
	}
	if ready != nil && ready.Status == corev1.ConditionFalse {
		want[id{corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute}] = true
	}
	if ready != nil && ready.Status == corev1.ConditionUnknown {
		want[id{corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute}] = true
	}
	for _, t := range node.Spec.Taints {
		k := id{t.Key, t.Effect}
		if ours(t) && !want[k] {
			continue
		}
		delete(want, k)
		out = append(out, t)
	}
	for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
		for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable,
			corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable} {
			if want[id{key, effect}] {
				added := metav1.NewTime(now.Truncate(time.Second))
				out = append(out, corev1.Taint{Key: key, Effect: effect, TimeAdded: &added})
			}
		}
	}
	return out
}

func ours(t corev1.Taint) bool {
	switch t.Key {
	case corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable:
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	case corev1.TaintNodeUnschedulable, corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure,
		corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable:
		return t.Effect == corev1.TaintEffectNoSchedule
	}
	return false
}
