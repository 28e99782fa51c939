package scheduler

import (
	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/scheduler/framework"
)

// nominations are the pods that others have been sent away for, and the nodes where the room is theirs: less important pods
// find it taken until they are placed, leave or are promised another.
type nominations struct {
	node map[string]string                       // by pod
	of   map[string]map[string]*framework.Placed // by node and pod
}

// set gives a pod a node, or with "" none.
func (n *nominations) set(p *framework.Placed, node string) {
	n.drop(p.Key())
	if node == "" {
		return
	}
	if n.of == nil {
		n.node, n.of = map[string]string{}, map[string]map[string]*framework.Placed{}
	}
	if n.of[node] == nil {
		n.of[node] = map[string]*framework.Placed{}
	}
	n.node[p.Key()], n.of[node][p.Key()] = node, p
}

func (n *nominations) drop(pod string) {
	node, ok := n.node[pod]
	if !ok {
		return
	}
	delete(n.node, pod)
	if delete(n.of[node], pod); len(n.of[node]) == 0 {
		delete(n.of, node)
	}
}

// nominate takes in what a waiting pod's status says, as after a start, or what was just decided.
func (s *state) nominate(p *corev1.Pod, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nominated.node[podKey(p)] != node {
		s.nominated.set(s.shapes.Place(framework.NewPod(p)), node)
	}
}

func (s *state) isNominated(p *corev1.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nominated.node[podKey(p)] != ""
}

// refuseBeside is refuse on the node as it is, and as it will be when the pods that it is promised to are there.
func (l *lineup) refuseBeside(p *framework.Pod, n *framework.Node, c framework.Cluster) (string, []string) {
	plugin, reasons := l.refuse(p, n)
	if reasons != nil || len(c.Nominated[n.Name]) == 0 {
		return plugin, reasons
	}
	full, key := (*framework.Node)(nil), p.Namespace+"/"+p.Name
	for other, placed := range c.Nominated[n.Name] {
		if other == key || placed.Priority < priority(p.Pod) {
			continue
		}
		if full == nil {
			full = n.Clone()
		}
		full.Add(placed)
	}
	if full == nil {
		return "", nil
	}
	return l.refuse(p, full)
}
