package scheduler

import (
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/scheduler/framework"
	"minato.dev/minato/internal/scheduler/plugins"
)

func weighs(n int32) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.Priority = &n } }

func since(seconds int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(time.Unix(seconds, 0)) }
}

func leaving(p *corev1.Pod) { now := metav1.Now(); p.DeletionTimestamp = &now }

// TestPreempt has a pod of priority 10 that asks for one of a node's two CPUs.
func TestPreempt(t *testing.T) {
	run := func(name string, change ...func(*corev1.Pod)) *corev1.Pod {
		return pod(append([]func(*corev1.Pod){named(name), weighs(1), asks("1")}, change...)...)
	}
	budget := []*policyv1.PodDisruptionBudget{{ObjectMeta: metav1.ObjectMeta{Namespace: "default"},
		Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}},
		Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1}}}
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	for name, c := range map[string]struct {
		pod   *corev1.Pod
		nodes map[string]*framework.Node
		want  string // node and victims
	}{
		"one is enough":        {pod(weighs(10), asks("1")), map[string]*framework.Node{"a": with(node("a"), run("x"), run("y", weighs(2)))}, "a: default/x"},
		"the younger goes":     {pod(weighs(10), asks("1")), map[string]*framework.Node{"a": with(node("a"), run("x", since(1)), run("y", since(2)))}, "a: default/y"},
		"both have to":         {pod(weighs(10), asks("2")), map[string]*framework.Node{"a": with(node("a"), run("x"), run("y", weighs(2)))}, "a: default/y default/x"},
		"equals stay":          {pod(weighs(10), asks("1")), map[string]*framework.Node{"a": with(node("a"), run("x", weighs(10)), run("y", weighs(11)))}, ""},
		"not enough":           {pod(weighs(10), asks("3")), map[string]*framework.Node{"a": with(node("a"), run("x"))}, ""},
		"cordoned":             {pod(weighs(10), asks("1")), map[string]*framework.Node{"a": with(node("a", cordoned), run("x"), run("y"))}, ""},
		"the least important":  {pod(weighs(10), asks("2")), map[string]*framework.Node{"a": with(node("a"), run("x", weighs(3))), "b": with(node("b"), run("y"), run("z"))}, "b: default/y default/z"},
		"the fewest":           {pod(weighs(10), asks("2")), map[string]*framework.Node{"a": with(node("a"), run("x"), run("y")), "b": with(node("b"), run("z"))}, "b: default/z"},
		"a budget is kept":     {pod(weighs(10), asks("2")), map[string]*framework.Node{"a": with(node("a"), run("x", labelled("db")), run("y", labelled("db"))), "b": with(node("b"), run("z", weighs(5)))}, "b: default/z"},
		"within the budget":    {pod(weighs(10), asks("1")), map[string]*framework.Node{"a": with(node("a"), run("x", labelled("db")), run("y", labelled("db"), weighs(2)))}, "a: default/y"}, // the budget is for the more important
		"the budget's go last": {pod(weighs(10), asks("1")), map[string]*framework.Node{"a": with(node("a"), run("x", labelled("db"), asks("900m")), run("z", labelled("db"), asks("900m")), run("y", weighs(5), asks("100m")))}, "a: default/x"},
		"a taken port":         {pod(weighs(10), hostPort(80)), map[string]*framework.Node{"a": with(node("a"), run("x", hostPort(80)), run("y"))}, "a: default/x"},
		"they want it away":    {pod(weighs(10), labelled("web")), map[string]*framework.Node{"a": with(node("a", zone("1")), run("x", away("web")))}, "a: default/x"},
	} {
		t.Run(name, func(t *testing.T) {
			p := framework.NewPod(c.pod)
			all := cluster(c.nodes)
			v := decide(p, all, plugins.Default(), nil)
			if v.Node != "" {
				t.Fatalf("it fits on %s", v.Node)
			}
			before := maps.Clone(all.Nodes[0].Pods)
			got := ""
			if list := sacrifices(p, all, v, plugins.Default(), budget); len(list) > 0 {
				s := best(list)
				var victims []string
				for _, p := range s.victims {
					victims = append(victims, p.Key())
				}
				got = s.node + ": " + strings.Join(victims, " ")
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if !maps.Equal(before, all.Nodes[0].Pods) {
				t.Error("the node itself was changed")
			}
		})
	}
}

func TestMayPreempt(t *testing.T) {
	never := corev1.PreemptNever
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		node *framework.Node
		want string
	}{
		"yes":               {pod(weighs(10)), nil, ""},
		"never":             {pod(weighs(10), func(p *corev1.Pod) { p.Spec.PreemptionPolicy = &never }), nil, "not eligible due to preemptionPolicy=Never."},
		"victims leave":     {pod(weighs(10)), with(node("a"), pod(named("x"), weighs(1), leaving)), "not eligible due to a terminating pod on the nominated node."},
		"others leave":      {pod(weighs(10)), with(node("a"), pod(named("x"), weighs(11), leaving)), ""},
		"victims have gone": {pod(weighs(10)), node("a"), ""},
	} {
		if got := mayPreempt(c.pod, c.node); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestNominatedRoom: room that is made for one pod is not another's, unless that one is more important.
func TestNominatedRoom(t *testing.T) {
	s := newState()
	s.node(nil, node("a").Node)
	s.nominate(pod(named("first"), weighs(10), asks("2")), "a")
	fits := func(p *corev1.Pod) bool {
		fp := framework.NewPod(p)
		l := line(fp, s.cluster(nil), plugins.Default())
		_, reasons := l.refuseBeside(fp, s.known[0], s.cluster(nil))
		return reasons == nil
	}
	for _, c := range []struct {
		pod  *corev1.Pod
		want bool
	}{
		{pod(named("less"), weighs(1), asks("1")), false},
		{pod(named("equal"), weighs(10), asks("1")), false},
		{pod(named("more"), weighs(11), asks("1")), true},
		{pod(named("first"), weighs(10), asks("2")), true},
	} {
		if got := fits(c.pod); got != c.want {
			t.Errorf("%s: %t, want %t", c.pod.Name, got, c.want)
		}
	}
	s.nominate(pod(named("first"), weighs(10), asks("2")), "")
	if !fits(pod(named("less"), weighs(1), asks("1"))) {
		t.Error("the room is kept for nobody")
	}
}
