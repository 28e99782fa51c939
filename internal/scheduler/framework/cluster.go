package framework

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Cluster is everything, for plugins that cannot judge a node alone.
type Cluster struct {
	Nodes     []*Node                              // by name
	Namespace func(name string) (labels.Set, bool) // a namespace's labels
	Images    *ImageIndex                          // which of them are on how many nodes
	Nominated map[string]map[string]*Placed        // by node and pod: who waits for room that is being made there
}

// Preparer is a plugin that has to see the whole cluster before it can judge one node. Prepare is called once a pod and
// returns what judges its nodes, a Filter, a Scorer or both, or nil where the plugin has nothing to say about this pod.
type Preparer interface {
	Plugin
	Prepare(p *Pod, c Cluster) Plugin
}

// Follower is what a Preparer returns whose filter depends on the pods of other nodes: Follow says what judges after other has
// come to n (by 1) or gone from it (-1), without looking at the cluster again, and leaves the receiver as it is. A prepared
// filter that is no Follower looks at no other pods.
type Follower interface {
	Follow(p *Pod, n *Node, other *Placed, by int) Filter
}

// Selector reads a label selector of the API. A nil one selects nothing, an invalid one (which validation refuses) too.
func Selector(s *metav1.LabelSelector) labels.Selector {
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return sel
}

// Leaving reports whether a pod is on its way out and counts no longer for where others go.
func Leaving(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }
