package scheduler

import (
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/scheduler/framework"
)

// state is the cluster as the scheduler sees it: nodes with the pods on them, kept by events, plus the pods that it
// has promised to a node and whose binding has not come back yet.
type state struct {
	mu    sync.Mutex
	nodes map[string]*framework.Node
	known []*framework.Node // those of nodes whose object exists, by name
	at    map[string]string // pod (namespace/name) to the node that counts it

	nominated nominations

	shapes framework.Shapes
	images framework.ImageIndex // of those known
}

func newState() *state {
	return &state{nodes: map[string]*framework.Node{}, at: map[string]string{}}
}

// node takes in a change of a node; new nil means that it is gone. It reports whether pods may fit now that did not.
func (s *state) node(old, new *corev1.Node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if new == nil {
		s.lose(old.Name)
		return false
	}
	n := s.nodes[new.Name]
	if n == nil {
		n = framework.NewNode(new)
		s.nodes[new.Name] = n
		s.learn(n)
		return true
	}
	gone := n.Node == nil
	if !gone {
		s.images.Change(n, nil)
	}
	n.SetNode(new)
	if gone {
		s.learn(n)
		return true
	}
	s.images.Change(nil, n)
	return old == nil || mayFit(old, new)
}

func byName(n *framework.Node, name string) int { return strings.Compare(n.Name, name) }

// learn adds a node whose object exists from now on.
func (s *state) learn(n *framework.Node) {
	at, _ := slices.BinarySearchFunc(s.known, n.Name, byName)
	s.known = slices.Insert(s.known, at, n)
	s.images.Change(nil, n)
}

// lose forgets a node whose object is gone, as soon as no pod counts on it.
func (s *state) lose(name string) {
	if at, ok := slices.BinarySearchFunc(s.known, name, byName); ok {
		s.images.Change(s.known[at], nil)
		s.known = slices.Delete(s.known, at, at+1)
	}
	if n := s.nodes[name]; n != nil {
		n.Node = nil
		s.forget(name)
	}
}

// forget drops a deleted node once no pod counts on it.
func (s *state) forget(name string) {
	if n := s.nodes[name]; n != nil && n.Node == nil && len(n.Pods) == 0 {
		delete(s.nodes, name)
	}
}

// pod takes in a pod that has a node; gone means that it no longer takes room there.
func (s *state) pod(p *corev1.Pod, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := p.Namespace + "/" + p.Name
	if was := s.at[key]; was != "" && (gone || was != p.Spec.NodeName) {
		s.nodes[was].Remove(p.Namespace, p.Name)
		delete(s.at, key)
		s.forget(was)
	}
	if !gone {
		s.place(framework.NewPod(p), p.Spec.NodeName)
	}
}

func (s *state) place(p *framework.Pod, node string) {
	n := s.nodes[node]
	if n == nil { // the pod came before its node
		n = framework.NewNode(&corev1.Node{})
		n.Node = nil
		s.nodes[node] = n
	}
	placed := s.shapes.Place(p)
	n.Add(placed)
	s.at[placed.Key()] = node
}

// namespaces tells a namespace's labels.
type namespaces func(name string) (labels.Set, bool)

// cluster is what plugins see; s.mu is held while they do.
func (s *state) cluster(n namespaces) framework.Cluster {
	return framework.Cluster{Nodes: s.known, Namespace: n, Images: &s.images, Nominated: s.nominated.of}
}

// decide runs f over the nodes that exist and places the pod on the node that f names, as a promise.
func (s *state) decide(p *framework.Pod, n namespaces, f func(framework.Cluster) Verdict) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := f(s.cluster(n))
	if v.Node != "" {
		s.nominated.drop(podKey(p.Pod))
		s.place(p, v.Node)
	}
	return v
}
