package daemonset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/controllers/pods"
)

// plan is what to do about one DaemonSet now.
type plan struct {
	create    []string      // names of nodes
	remove    []*corev1.Pod // too many, on the wrong node, or to be replaced
	failed    []*corev1.Pod // to be replaced once their back-off is over
	status    appsv1.DaemonSetStatus
	lookAgain time.Duration // when a ready pod becomes available
}

// site is one node as a DaemonSet sees it.
type site struct {
	node string
	placement
	pods []*corev1.Pod // not yet gone, oldest first
}

// makePlan is pure. mine are the pods that ds controls; hash names today's template.
func makePlan(ds *appsv1.DaemonSet, nodes []*corev1.Node, mine []*corev1.Pod, hash string, now time.Time) plan {
	r := roll{ds: ds, hash: hash, minReady: time.Duration(ds.Spec.MinReadySeconds) * time.Second, now: now}
	sites, lost := group(ds, nodes, mine)
	var p plan
	p.remove = lost
	for _, s := range sites {
		r.place(&p, s)
	}
	if len(p.create)+len(p.remove)+len(p.failed) == 0 && ds.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		r.update(&p, sites)
	}
	p.status = r.status(sites)
	p.lookAgain = r.wait
	return p
}

// group sorts pods by node. Those of nodes that are gone, and that no scheduler can bind any more, are lost.
func group(ds *appsv1.DaemonSet, nodes []*corev1.Node, mine []*corev1.Pod) (sites []site, lost []*corev1.Pod) {
	at := map[string]int{}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return compare(a.Name, b.Name) })
	for i, n := range nodes {
		at[n.Name] = i
		sites = append(sites, site{node: n.Name, placement: place(ds, n)})
	}
	for _, p := range mine {
		if pods.Ended(p) && p.DeletionTimestamp != nil {
			continue
		}
		i, known := at[target(p)]
		switch {
		case known:
			sites[i].pods = append(sites[i].pods, p)
		case p.Spec.NodeName == "" && p.DeletionTimestamp == nil:
			lost = append(lost, p)
		}
	}
	for i := range sites {
		slices.SortFunc(sites[i].pods, older)
	}
	return sites, lost
}

func older(a, b *corev1.Pod) int {
	if (a.Spec.NodeName != "") != (b.Spec.NodeName != "") { // one that is bound is preferred
		if a.Spec.NodeName != "" {
			return -1
		}
		return 1
	}
	if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
		return c
	}
	return compare(a.Name, b.Name)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// place decides about one node, whatever its pods' template.
func (r *roll) place(p *plan, s site) {
	switch {
	case s.run && len(s.pods) == 0:
		p.create = append(p.create, s.node)
	case !s.stay:
		p.remove = append(p.remove, remaining(s.pods)...)
	default:
		var running []*corev1.Pod
		for _, pod := range remaining(s.pods) {
			if pod.Status.Phase == corev1.PodFailed {
				p.failed = append(p.failed, pod)
				continue
			}
			running = append(running, pod)
		}
		p.remove = append(p.remove, r.tooMany(running)...)
	}
}

// tooMany are the pods that a node has beyond the one it needs; with a surge there is an old one until the new one is available.
func (r *roll) tooMany(running []*corev1.Pod) (out []*corev1.Pod) {
	if len(running) <= 1 {
		return nil
	}
	if surge, _ := r.bounds(1); surge == 0 {
		return running[1:]
	}
	var oldPod, newPod *corev1.Pod
	for _, pod := range running {
		keep := &oldPod
		if r.updated(pod) {
			keep = &newPod
		}
		if *keep != nil {
			out = append(out, pod)
			continue
		}
		*keep = pod
	}
	if oldPod != nil && newPod != nil && (!pods.Ready(oldPod) || r.available(newPod)) {
		out = append(out, oldPod)
	}
	return out
}

// remaining are the pods that nobody has deleted yet.
func remaining(list []*corev1.Pod) (out []*corev1.Pod) {
	for _, p := range list {
		if p.DeletionTimestamp == nil {
			out = append(out, p)
		}
	}
	return out
}
