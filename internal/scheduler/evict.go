package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/scheduler/framework"
)

// preempt looks for pods that may go for one that fits nowhere, and keeps their room for it; carryOut has them go. It adds to
// the verdict why nobody goes.
func (s *Scheduler) preempt(ctx context.Context, p *framework.Pod, v *Verdict) *sacrifice {
	if not := s.state.mayPreempt(p.Pod); not != "" {
		v.Preemption = not
		return nil
	}
	var chosen *sacrifice
	if s.state.anyLower(p.Pod) {
		budgets, _, err := client.Of(s.views.Client(), client.PodDisruptionBudgets).List(ctx, "", metav1.ListOptions{})
		if err != nil {
			s.log.Warn("nothing is preempted without knowing the disruption budgets", "pod", podKey(p.Pod), "err", err)
			return nil
		}
		chosen = s.state.sacrifice(p, s.namespace, func(c framework.Cluster) *sacrifice { return s.choose(p, c, *v, budgets) })
	}
	if chosen == nil {
		v.Preemption = v.noVictims()
		s.state.nominate(p.Pod, "")
	}
	return chosen
}

func (s *Scheduler) choose(p *framework.Pod, c framework.Cluster, v Verdict, budgets []*policyv1.PodDisruptionBudget) *sacrifice {
	list := sacrifices(p, c, v, s.plugins, budgets)
	if len(list) == 0 {
		return nil
	}
	chosen := best(list)
	return &chosen
}

func (s *state) mayPreempt(p *corev1.Pod) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return mayPreempt(p, s.nodes[s.nominated.node[podKey(p)]])
}

// anyLower says whether anything less important has a node.
func (s *state) anyLower(p *corev1.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.known, func(n *framework.Node) bool { return hasLower(n, priority(p)) })
}

// sacrifice has choose decide and nominates p for the node that it names. Less important pods that were promised the same
// node are promised nothing any more.
func (s *state) sacrifice(p *framework.Pod, n namespaces, choose func(framework.Cluster) *sacrifice) *sacrifice {
	s.mu.Lock()
	defer s.mu.Unlock()
	chosen := choose(s.cluster(n))
	if chosen == nil {
		return nil
	}
	for key, other := range s.nominated.of[chosen.node] {
		if other.Priority < priority(p.Pod) {
			s.nominated.drop(key)
			chosen.outdone = append(chosen.outdone, other)
		}
	}
	s.nominated.set(s.shapes.Place(p), chosen.node)
	return chosen
}

// carryOut says in p's status where it will go, and has the victims go: each is told why in its conditions, then deleted with
// its own grace.
func (s *Scheduler) carryOut(ctx context.Context, p *corev1.Pod, chosen *sacrifice) {
	s.writeNomination(ctx, p.Namespace, p.Name, chosen.node)
	for _, other := range chosen.outdone {
		s.writeNomination(ctx, other.Namespace, other.Name, "")
	}
	for _, victim := range chosen.victims {
		pod, ok := client.ViewOf(s.views, client.Pods).Get(victim.Namespace, victim.Name)
		if !ok || pod.DeletionTimestamp != nil {
			continue
		}
		err := s.sendAway(ctx, pod)
		switch {
		case err == nil:
			s.events.Acted(pod, corev1.EventTypeNormal, "Preempted", "Preempting", "Preempted by pod %s on node %s", p.UID, chosen.node)
		case !apierrors.IsNotFound(err) && ctx.Err() == nil:
			s.log.Warn("pod not preempted", "pod", victim.Key(), "for", podKey(p), "err", err)
		}
	}
}

func (s *Scheduler) writeNomination(ctx context.Context, ns, name, node string) {
	patch := fmt.Appendf(nil, `{"status":{"nominatedNodeName":%q}}`, node)
	_, err := client.Of(s.views.Client(), client.Pods).Patch(ctx, ns, name, types.MergePatchType, patch, "status")
	if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		s.log.Warn("nomination not written", "pod", ns+"/"+name, "node", node, "err", err)
	}
}

func (s *Scheduler) sendAway(ctx context.Context, pod *corev1.Pod) error {
	pods := client.Of(s.views.Client(), client.Pods)
	now := time.Now().UTC().Format(time.RFC3339)
	why := fmt.Appendf(nil, `{"metadata":{"uid":%q},"status":{"conditions":[{"type":%q,"status":"True","reason":%q,"message":%q,"lastTransitionTime":%q,"observedGeneration":%d}]}}`,
		pod.UID, corev1.DisruptionTarget, corev1.PodReasonPreemptionByScheduler, corev1.DefaultSchedulerName+": preempting to accommodate a higher priority pod", now, pod.Generation)
	if _, err := pods.Patch(ctx, pod.Namespace, pod.Name, types.StrategicMergePatchType, why, "status"); err != nil {
		return err
	}
	return pods.Delete(ctx, pod.Namespace, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
}

// noVictims is upstream's sentence for a preemption that helps nowhere.
func (v Verdict) noVictims() string {
	hopeless := 0
	for name := range v.Refused {
		if v.hopeless(name) {
			hopeless++
		}
	}
	var parts []string
	if n := v.Nodes - hopeless; n > 0 {
		parts = append(parts, fmt.Sprintf("%d No preemption victims found for incoming pod", n))
	}
	if hopeless > 0 {
		parts = append(parts, fmt.Sprintf("%d Preemption is not helpful for scheduling", hopeless))
	}
	return fmt.Sprintf("0/%d nodes are available: %s.", v.Nodes, strings.Join(parts, ", "))
}
