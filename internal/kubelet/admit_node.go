package kubelet

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/kubelet/decide"
)

// misplaced refuses a pod that does not want to be on this node, or whose ports another pod has: it was bound by hand, or
// by somebody who knew less than the node.
func (k *Kubelet) misplaced(pod *corev1.Pod) (reason, message string) {
	if (pod.Spec.Affinity != nil || len(pod.Spec.NodeSelector) > 0) && !k.wanted(pod) {
		return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
	}
	mine := ports(pod)
	if len(mine) == 0 {
		return "", ""
	}
	for _, w := range k.all() {
		if other, counts := w.counts(pod.UID); counts && clash(mine, ports(other)) {
			return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
		}
	}
	return "", ""
}

// wanted says that the node's labels are what the pod asks for. Before it says no it reads the Node anew: labels change
// without us.
func (k *Kubelet) wanted(pod *corev1.Pod) bool {
	need := nodeaffinity.GetRequiredNodeAffinity(pod)
	if n := k.shown.Load(); n != nil {
		if ok, err := need.Match(n); ok && err == nil {
			return true
		}
	}
	ctx, cancel := context.WithTimeout(k.scope.Context(), runtimeAnswer)
	defer cancel()
	n, err := client.Of(k.c, client.Nodes).Get(ctx, "", k.cfg.NodeName)
	if err != nil {
		k.cfg.Log.Warn("the node's labels are not known, the scheduler is believed", "pod", pod.Namespace+"/"+pod.Name, "err", err)
		return true
	}
	ok, err := need.Match(n)
	return ok && err == nil
}

// counts returns the worker's pod, and whether it takes room on the node for others than the one with this UID.
func (w *worker) counts(but types.UID) (*corev1.Pod, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next, w.next.UID != but && w.evict == nil && !terminal(w.next)
}

// port is one port of the node.
type port struct {
	protocol corev1.Protocol
	ip       string
	number   int32
}

// ports are those of the node that the pod takes.
func ports(pod *corev1.Pod) []port {
	var list []port
	decide.Each(&pod.Spec, func(c *corev1.Container, r decide.Role) {
		if r == decide.Ephemeral || r == decide.Init && !decide.Restartable(c) {
			return
		}
		for _, p := range c.Ports {
			if p.HostPort > 0 {
				list = append(list, port{p.Protocol, p.HostIP, p.HostPort})
			}
		}
	})
	return list
}

// clash says that two lists have a port in common; no address is every address.
func clash(a, b []port) bool {
	every := func(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
	for _, x := range a {
		for _, y := range b {
			if x.number == y.number && x.protocol == y.protocol && (x.ip == y.ip || every(x.ip) || every(y.ip)) {
				return true
			}
		}
	}
	return false
}

// unbuilt refuses what this node cannot do at all, before anything of the pod is made.
func unbuilt(pod *corev1.Pod) (reason, message string) {
	if len(pod.Spec.ResourceClaims) > 0 {
		return "UnexpectedAdmissionError", fmt.Sprintf("this node has no dynamic resource allocation: it cannot prepare the resource claim %q", pod.Spec.ResourceClaims[0].Name)
	}
	return "", ""
}
