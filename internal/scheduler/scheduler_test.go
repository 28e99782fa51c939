package scheduler

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/scheduler/framework"
	"minato.dev/minato/internal/scheduler/plugins"
)

func node(name string, change ...func(*corev1.Node)) *framework.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	n.Status.Allocatable = corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("4Gi"), "pods": resource.MustParse("3")}
	for _, f := range change {
		f(n)
	}
	return framework.NewNode(n)
}

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	for _, f := range change {
		f(p)
	}
	return p
}

func asks(cpu string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse(cpu)}
	}
}

func named(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Name, p.UID = name, types.UID(name) }
}

func hostPort(n int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: n, Protocol: corev1.ProtocolTCP}}
	}
}

func with(n *framework.Node, pods ...*corev1.Pod) *framework.Node {
	var shapes framework.Shapes
	for _, p := range pods {
		n.Add(shapes.Place(framework.NewPod(p)))
	}
	return n
}

// cluster has one namespace with labels, "default" (team=a).
func cluster(named map[string]*framework.Node) framework.Cluster {
	var nodes []*framework.Node
	for _, name := range slices.Sorted(maps.Keys(named)) {
		nodes = append(nodes, named[name])
	}
	images := &framework.ImageIndex{}
	for _, n := range nodes {
		images.Change(nil, n)
	}
	return framework.Cluster{Nodes: nodes, Images: images, Namespace: func(name string) (labels.Set, bool) {
		return labels.Set{"team": "a"}, name == "default"
	}}
}

func zone(name string) func(*corev1.Node) { return func(n *corev1.Node) { n.Labels["zone"] = name } }

func labelled(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels = map[string]string{"app": app} }
}

func beside(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms(app)}}
	}
}

func away(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms(app)}}
	}
}

// wishes prefers, with sign 1, or would rather avoid, with -1, the pods of app.
func wishes(app string, sign int) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		list := []corev1.WeightedPodAffinityTerm{{Weight: 50, PodAffinityTerm: terms(app)[0]}}
		if p.Spec.Affinity = (&corev1.Affinity{PodAffinity: &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: list}}); sign < 0 {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: list}}
		}
	}
}

func terms(app string) []corev1.PodAffinityTerm {
	return []corev1.PodAffinityTerm{{TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}}
}

func elsewhere(ns string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Namespace = ns } }

func spread(skew int32, min *int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: skew, TopologyKey: "zone", MinDomains: min, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}
	}
}

// TestTogetherAndApart places the pod "p" (app=web where it says so) among pods "x" and "y".
func TestTogetherAndApart(t *testing.T) {
	two := int32(2)
	x := func(change ...func(*corev1.Pod)) *corev1.Pod {
		return pod(append([]func(*corev1.Pod){named("x")}, change...)...)
	}
	for name, c := range map[string]struct {
		pod     *corev1.Pod
		nodes   []*framework.Node
		node    string
		message string
	}{
		"beside one":           {pod(beside("db")), []*framework.Node{node("a", zone("1")), with(node("b", zone("2")), x(labelled("db")))}, "b", ""},
		"beside nobody":        {pod(beside("db")), []*framework.Node{node("a", zone("1"))}, "", "0/1 nodes are available: 1 node(s) didn't match pod affinity rules."},
		"beside itself":        {pod(labelled("web"), beside("web")), []*framework.Node{node("a", zone("1"))}, "a", ""},
		"beside, no such key":  {pod(labelled("web"), beside("web")), []*framework.Node{node("a")}, "", "0/1 nodes are available: 1 node(s) didn't match pod affinity rules."},
		"other namespace":      {pod(beside("db")), []*framework.Node{with(node("a", zone("1")), x(labelled("db"), elsewhere("other")))}, "", "0/1 nodes are available: 1 node(s) didn't match pod affinity rules."},
		"away from one":        {pod(away("web")), []*framework.Node{with(node("a", zone("1")), x(labelled("web"))), node("b", zone("1")), node("c", zone("2"))}, "c", ""},
		"away from all":        {pod(away("web")), []*framework.Node{with(node("a", zone("1")), x(labelled("web")))}, "", "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules."},
		"they want it away":    {pod(labelled("web")), []*framework.Node{with(node("a", zone("1")), x(away("web"))), node("b", zone("2"))}, "b", ""},
		"they all want it off": {pod(labelled("web")), []*framework.Node{with(node("a", zone("1")), x(away("web")))}, "", "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."},
		"they wish it beside":  {pod(labelled("web")), []*framework.Node{with(node("a", zone("1")), x(wishes("web", 1))), node("b", zone("2"))}, "a", ""},
		"they wish it away":    {pod(labelled("web")), []*framework.Node{with(node("b", zone("2")), x(wishes("web", -1))), node("a", zone("1")), node("c", zone("2"))}, "a", ""},
		"they want the like":   {pod(labelled("web")), []*framework.Node{with(node("a", zone("1")), x(beside("web"))), node("b", zone("2"))}, "a", ""},
		"they wish another":    {pod(labelled("db")), []*framework.Node{with(node("a", zone("1")), x(wishes("web", 1))), node("b", zone("2"))}, "b", ""},
		"spread":               {pod(labelled("web"), spread(1, nil)), []*framework.Node{with(node("a", zone("1")), x(labelled("web"))), node("b", zone("2"))}, "b", ""},
		"spread, no label":     {pod(labelled("web"), spread(1, nil)), []*framework.Node{node("a")}, "", "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)."},
		"too few domains":      {pod(labelled("web"), spread(1, &two)), []*framework.Node{with(node("a", zone("1")), x(labelled("web")))}, "", "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints."},
		"claims": {pod(func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }), []*framework.Node{node("a")}, "",
			"0/1 nodes are available: 1 node(s) cannot serve resource claims: dynamic resource allocation is not built in this version."},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := map[string]*framework.Node{}
			for _, n := range c.nodes {
				nodes[n.Name] = n
			}
			v := decide(framework.NewPod(c.pod), cluster(nodes), plugins.Default(), rand.New(rand.NewPCG(1, 1)))
			if v.Node != c.node || c.node == "" && v.Message() != c.message {
				t.Errorf("node %q, message %q; want %q, %q", v.Node, v.Message(), c.node, c.message)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	tainted := func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}} }
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	ssd := func(n *corev1.Node) { n.Labels["disk"] = "ssd" }
	wantsSSD := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }
	tolerates := func(p *corev1.Pod) {
		p.Spec.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}}
	}
	for name, c := range map[string]struct {
		pod     *corev1.Pod
		nodes   []*framework.Node
		node    string
		message string
	}{
		"no node":             {pod(), nil, "", "no nodes available to schedule pods"},
		"the only one":        {pod(), []*framework.Node{node("a")}, "a", ""},
		"the emptier":         {pod(asks("500m")), []*framework.Node{with(node("a"), pod(named("x"), asks("1"))), node("b")}, "b", ""},
		"too big":             {pod(asks("3")), []*framework.Node{node("a"), node("b")}, "", "0/2 nodes are available: 2 Insufficient cpu."},
		"full of pods":        {pod(), []*framework.Node{with(node("a"), pod(named("x")), pod(named("y")), pod(named("z")))}, "", "0/1 nodes are available: 1 Too many pods."},
		"tainted":             {pod(), []*framework.Node{node("a", tainted), node("b")}, "b", ""},
		"tolerated":           {pod(tolerates), []*framework.Node{node("a", tainted)}, "a", ""},
		"cordoned":            {pod(), []*framework.Node{node("a", cordoned)}, "", "0/1 nodes are available: 1 node(s) were unschedulable."},
		"selector":            {pod(wantsSSD), []*framework.Node{node("a"), node("b", ssd)}, "b", ""},
		"selector of nothing": {pod(wantsSSD), []*framework.Node{node("a")}, "", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
		"port taken": {pod(hostPort(80)), []*framework.Node{with(node("a"), pod(named("x"), hostPort(80))), node("b", cordoned)}, "",
			"0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, 1 node(s) were unschedulable."},
		"another port": {pod(hostPort(81)), []*framework.Node{with(node("a"), pod(named("x"), hostPort(80)))}, "a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := map[string]*framework.Node{}
			for _, n := range c.nodes {
				nodes[n.Name] = n
			}
			v := decide(framework.NewPod(c.pod), cluster(nodes), plugins.Default(), rand.New(rand.NewPCG(1, 1)))
			if v.Node != c.node || c.node == "" && v.Message() != c.message {
				t.Errorf("node %q, message %q; want %q, %q", v.Node, v.Message(), c.node, c.message)
			}
		})
	}
}

func TestStatePromisesRoom(t *testing.T) {
	s := newState()
	n := node("a")
	s.node(nil, n.Node)
	place := func(p *corev1.Pod) string {
		fp := framework.NewPod(p)
		return s.decide(fp, nil, func(c framework.Cluster) Verdict {
			return decide(fp, c, plugins.Default(), rand.New(rand.NewPCG(1, 1)))
		}).Node
	}
	if place(pod(named("x"), asks("1500m"))) != "a" {
		t.Fatal("the first pod does not fit")
	}
	if got := place(pod(named("y"), asks("1"))); got != "" {
		t.Errorf("the second pod got %q although the room is promised", got)
	}
	bound := pod(named("x"), asks("1500m"))
	bound.Spec.NodeName = "a"
	s.pod(bound, false) // the binding comes back: counted once
	if used := s.nodes["a"].Used.CPU; used != 1500 {
		t.Errorf("%d millicores used, want 1500", used)
	}
	s.pod(bound, true)
	if place(pod(named("y"), asks("1"))) != "a" {
		t.Error("the room of an ended pod is not free")
	}
}

func TestQueueOrdersByPriorityThenArrival(t *testing.T) {
	q := newQueue()
	defer q.stop()
	high := int32(10)
	q.put(pod(named("first")))
	q.put(pod(named("second")))
	q.put(pod(named("urgent"), func(p *corev1.Pod) { p.Spec.Priority = &high }))
	got := ""
	for range 3 {
		got += q.pop(t.Context()).pod.Name + " "
	}
	if got != "urgent first second " {
		t.Errorf("order %q", got)
	}
}

func TestQueueParksAndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.stop()
		q.put(pod())
		start := time.Now()
		var waits []string
		for range 3 {
			it := q.pop(t.Context())
			waits = append(waits, fmt.Sprint(time.Since(start).Seconds()))
			q.park(it, time.Now(), false)
			q.put(it.pod) // its own status comes back: no reason to try again
			q.wakeAll()
		}
		if got := fmt.Sprint(waits); got != "[0 1 3]" {
			t.Errorf("tried after %s seconds, want [0 1 3]", got)
		}
		it := q.pop(t.Context())
		q.park(it, time.Now(), false)
		q.remove(it.pod)
		q.wakeAll()
		if len(q.all) != 0 || q.active.Len() != 0 {
			t.Error("a removed pod is still in the queue")
		}
	})
}

func TestQueueLongBackOffDelaysNoShorterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.stop()
		start := time.Now()
		for name, tries := range map[string]int{"short": 0, "long": 3} {
			q.park(&item{pod: pod(named(name)), tries: tries}, start, false)
		}
		for _, name := range []string{"short", "long"} {
			q.wakeThose(func(p *corev1.Pod) bool { return p.Name == name })
		}
		for _, want := range []string{"short 1", "long 8"} {
			if got := fmt.Sprint(q.pop(t.Context()).pod.Name, " ", time.Since(start).Seconds()); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}
