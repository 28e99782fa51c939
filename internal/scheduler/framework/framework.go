// Package framework holds what a scheduler plugin sees: one pod, one node with the pods on it, and the reason it gives.
//
// Plugins are pure functions of these; package plugins has one file for each. Nothing here is safe for concurrent
// change; the scheduler gives a plugin a state that nobody else writes meanwhile.
package framework

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// A Plugin filters nodes, scores them, or both.
type Plugin interface{ Name() string }

// Filter says whether a pod can run on a node: an empty reason means yes. The reason is the phrase that users read in
// "0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were unschedulable."
type Filter interface {
	Plugin
	Filter(p *Pod, n *Node) []string
}

// Scorer ranks a node for a pod from 0 to 100; the scheduler multiplies by Weight and adds.
type Scorer interface {
	Plugin
	Weight() int64
	Score(p *Pod, n *Node) int64
}

// Pod is a pod with what plugins ask for again and again worked out once.
type Pod struct {
	*corev1.Pod
	Requests Resources  // of the whole pod, without the pods resource itself
	NonZero  Resources  // cpu and memory with upstream's stand-ins for containers that ask for nothing
	Ports    []HostPort // asked for on the node itself
	Terms    *Terms     // of pod affinity, nil where it has none
}

// HostPort is one port taken on a node.
type HostPort struct {
	IP       string
	Protocol corev1.Protocol
	Port     int32
}

// Upstream's stand-ins for the scoring of pods that request nothing: 100 millicores and 200 MiB a container.
const (
	defaultMilliCPU = 100
	defaultMemory   = 200 << 20
)

// NewPod works out p's requests and ports.
func NewPod(p *corev1.Pod) *Pod {
	requests := amounts(resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{}))
	nonZero := Resources{CPU: requests.CPU, Memory: requests.Memory}
	for i := range p.Spec.Containers {
		asked := p.Spec.Containers[i].Resources.Requests
		if _, ok := asked[corev1.ResourceCPU]; !ok {
			nonZero.CPU += defaultMilliCPU
		}
		if _, ok := asked[corev1.ResourceMemory]; !ok {
			nonZero.Memory += defaultMemory
		}
	}
	return &Pod{Pod: p, Requests: requests, NonZero: nonZero, Ports: hostPorts(p), Terms: NewTerms(p.Spec.Affinity)}
}

func hostPorts(p *corev1.Pod) (out []HostPort) {
	for i := range p.Spec.Containers {
		for _, port := range p.Spec.Containers[i].Ports {
			if port.HostPort > 0 {
				out = append(out, HostPort{port.HostIP, port.Protocol, port.HostPort})
			}
		}
	}
	return out
}

// Node is a node and the pods that run on it or were just promised to it. Of the object it has metadata without
// managedFields, the spec, and of the status what can be allocated; the images are asked for by ImageSize.
type Node struct {
	*corev1.Node
	Allocatable Resources
	Pods        map[string]*Placed // by namespace/name
	Particular  map[string]*Placed // those of Pods that mind where others are
	Used        Resources
	NonZeroUsed Resources
	images      images
}

// NewNode returns a node without pods.
func NewNode(n *corev1.Node) *Node {
	out := &Node{Pods: map[string]*Placed{}}
	out.SetNode(n)
	return out
}

// SetNode takes over a changed node object and keeps the pods.
func (n *Node) SetNode(o *corev1.Node) {
	n.Node, n.Allocatable, n.images = known(o), amounts(o.Status.Allocatable), newImages(o)
}

// known is what a Node keeps of the object: most of the rest is what a kubelet reports for people to read.
func known(o *corev1.Node) *corev1.Node {
	out := &corev1.Node{ObjectMeta: o.ObjectMeta, Spec: o.Spec}
	out.ManagedFields, out.Annotations = nil, nil
	out.Status.Allocatable, out.Status.VolumesAttached, out.Status.VolumesInUse = o.Status.Allocatable, o.Status.VolumesAttached, o.Status.VolumesInUse
	return out
}

// Clone returns the node with an account of its own, for what if.
func (n *Node) Clone() *Node {
	out := *n
	out.Pods, out.Particular = maps.Clone(n.Pods), maps.Clone(n.Particular)
	out.Used.Other, out.NonZeroUsed.Other = maps.Clone(n.Used.Other), maps.Clone(n.NonZeroUsed.Other)
	return &out
}

// Add counts p on the node, in the place of an older p of the same name.
func (n *Node) Add(p *Placed) {
	n.Remove(p.Namespace, p.Name)
	key := p.Key()
	n.Pods[key] = p
	if p.Terms != nil {
		if n.Particular == nil {
			n.Particular = map[string]*Placed{}
		}
		n.Particular[key] = p
	}
	n.count(p, 1)
}

// Remove takes a pod off the node's account.
func (n *Node) Remove(ns, name string) {
	key := ns + "/" + name
	if p := n.Pods[key]; p != nil {
		delete(n.Pods, key)
		delete(n.Particular, key)
		n.count(p, -1)
	}
}

func (n *Node) count(p *Placed, sign int64) {
	n.Used.add(&p.Requests, sign)
	n.NonZeroUsed.add(&p.NonZero, sign)
}
