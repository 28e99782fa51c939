package scheduler

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/scheduler/framework"
	"minato.dev/minato/internal/scheduler/plugins"
)

// TestFollowingIsPreparingAnew takes pods away and puts them back at random; what has followed must judge as what looks at
// the whole cluster does.
func TestFollowingIsPreparingAnew(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	wishes := []func(*corev1.Pod){func(*corev1.Pod) {}, spread(1, nil), spread(2, nil), beside("a"), beside("b"), away("a"), away("b"), away("web"), leaving}
	anyPod := func(name string, from []func(*corev1.Pod)) *corev1.Pod {
		return pod(named(name), labelled([]string{"a", "b", "web"}[draw.IntN(3)]), from[draw.IntN(len(from))])
	}
	yes, no := 0, 0
	for round := range 300 {
		nodes := map[string]*framework.Node{}
		for i := range 6 {
			var pods []*corev1.Pod
			for k := range draw.IntN(4) {
				pods = append(pods, anyPod(fmt.Sprintf("p%d-%d", i, k), wishes))
			}
			name := fmt.Sprint("n", i)
			nodes[name] = with(node(name, zone(fmt.Sprint(i%3))), pods...)
		}
		p := framework.NewPod(anyPod("x", wishes[:len(wishes)-1]))
		c := cluster(nodes)
		at := draw.IntN(len(c.Nodes))
		trial := newQuestion(p, c, plugins.Default()).about(at)
		for range 12 {
			if all := c.Nodes[at].Pods; len(all) > 0 {
				other := all[slices.Sorted(maps.Keys(all))[draw.IntN(len(all))]]
				if _, there := trial.node.Pods[other.Key()]; there {
					trial.remove(other)
				} else {
					trial.add(other)
				}
			}
			changed := c
			changed.Nodes = slices.Clone(c.Nodes)
			changed.Nodes[at] = trial.node
			l := line(p, changed, plugins.Default())
			_, reasons := l.refuseBeside(p, trial.node, changed)
			if got := trial.fits(); got != (reasons == nil) {
				t.Fatalf("round %d: followed %t, prepared anew %v", round, got, reasons)
			} else if got {
				yes++
			} else {
				no++
			}
		}
	}
	if yes < 300 || no < 300 {
		t.Errorf("%d fit and %d do not: nothing is proved", yes, no)
	}
}
