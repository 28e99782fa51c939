package decide

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world builds an Input from short words, so that the table below reads as a story.
type world struct {
	policy  corev1.RestartPolicy
	inits   string // names; a trailing + is a sidecar
	mains   string // a trailing ! has a postStart hook
	seen    string // "main=run", "main=exit3", "main=new"; newest first
	box     string // "ready", "dead", ""
	busy    string // keys, comma separated
	stop    *Stop
	unready bool // volumes are missing
	noimage bool
	lacks   string // the container whose image is missing
	clean   bool
	back    map[string]Backoff
	bad     string // id of an unhealthy container
	started string
}

func (w world) input() Input {
	always := corev1.ContainerRestartPolicyAlways
	pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: w.policy}}
	in := Input{Pod: pod, Now: t0, Stop: w.stop, Mounted: !w.unready, Clean: w.clean, Busy: map[string]bool{}, Images: map[string]bool{}, Back: w.back,
		Started: map[string]bool{}, Unhealthy: map[string]Unhealthy{}}
	for _, n := range strings.Fields(w.inits) {
		c := corev1.Container{Name: strings.TrimSuffix(n, "+")}
		if strings.HasSuffix(n, "+") {
			c.RestartPolicy = &always
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	for _, n := range strings.Fields(w.mains) {
		c := corev1.Container{Name: strings.TrimSuffix(n, "!")}
		if c.Name != n {
			c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}
		}
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
	if w.box != "" {
		in.Seen.Sandboxes = []seen.Sandbox{{ID: "box", Ready: w.box == "ready", IPs: []string{"10.0.0.1"}}}
	}
	for i, s := range strings.Fields(w.seen) {
		name, state, _ := strings.Cut(s, "=")
		c := seen.Container{ID: name + "-id", Name: name, SandboxID: "box", Hash: seen.Hash(&corev1.Container{Name: name}), Created: t0.Add(-time.Duration(i) * time.Second)}
		switch {
		case state == "run":
			c.State = seen.Running
		case state == "new":
			c.State = seen.Created
		default:
			c.State, c.ExitCode, c.Finished = seen.Exited, int32(state[4]-'0'), t0.Add(-time.Second)
		}
		in.Seen.Containers = append(in.Seen.Containers, c)
	}
	for _, k := range strings.Split(w.busy, ",") {
		if k != "" {
			in.Busy[k] = true
		}
	}
	for _, id := range strings.Fields(w.started) {
		in.Started[id] = true
	}
	if w.bad != "" {
		in.Unhealthy[w.bad] = Unhealthy{Reason: "sick"}
	}
	if !w.noimage {
		Each(&pod.Spec, func(c *corev1.Container, _ Role) { in.Images[c.Name] = c.Name != w.lacks })
	}
	return in
}

func TestNext(t *testing.T) {
	const always, failure, never = corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever
	stop := &Stop{Grace: 5 * time.Second}
	for name, c := range map[string]struct {
		world
		want string // the keys of the operations, comma separated; then flags
	}{
		"everything at once at first":       {world{policy: always, mains: "a b", unready: true, noimage: true}, "volumes,sandbox,image a,image b"},
		"only the first init image":         {world{policy: always, inits: "i j", mains: "a", unready: true, noimage: true}, "volumes,sandbox,image i"},
		"nothing twice":                     {world{policy: always, mains: "a", unready: true, noimage: true, busy: "volumes,sandbox,image a"}, ""},
		"first container":                   {world{policy: always, mains: "a b", box: "ready"}, "start a"},
		"waits for the volumes":             {world{policy: always, mains: "a", box: "ready", unready: true}, "volumes"},
		"second after the first":            {world{policy: always, mains: "a b", box: "ready", seen: "a=run"}, "start b"},
		"second waits for postStart":        {world{policy: always, mains: "a b", box: "ready", seen: "a=run", busy: "start a"}, ""},
		"second does not wait for an image": {world{policy: always, mains: "a b", box: "ready", lacks: "a", busy: "image a"}, "start b"},
		"but for one with postStart":        {world{policy: always, mains: "a! b", box: "ready", lacks: "a", busy: "image a"}, ""},
		"which is pulled first":             {world{policy: always, mains: "a! b", box: "ready", lacks: "a"}, "image a"},
		"init first":                        {world{policy: always, inits: "i j", mains: "a", box: "ready"}, "start i"},
		"init runs":                         {world{policy: always, inits: "i", mains: "a", box: "ready", seen: "i=run"}, ""},
		"next init":                         {world{policy: always, inits: "i j", mains: "a", box: "ready", seen: "i=exit0"}, "start j"},
		"init failed, tried again":          {world{policy: always, inits: "i", mains: "a", box: "ready", seen: "i=exit1"}, "start i"},
		"init failed for good":              {world{policy: never, inits: "i", mains: "a", box: "ready", seen: "i=exit1"}, "stop-sandbox box done"},
		"sidecar must have started":         {world{policy: always, inits: "s+", mains: "a", box: "ready", seen: "s=run"}, ""},
		"sidecar has started":               {world{policy: always, inits: "s+", mains: "a", box: "ready", seen: "s=run", started: "s-id"}, "start a"},
		"sidecar is kept alive":             {world{policy: never, inits: "s+", mains: "a", box: "ready", seen: "s=exit0 a=run"}, "start s"},
		"restart":                           {world{policy: always, mains: "a", box: "ready", seen: "a=exit0"}, "start a"},
		"no restart of success":             {world{policy: failure, mains: "a", box: "ready", seen: "a=exit0"}, "stop-sandbox box done"},
		"restart of failure":                {world{policy: failure, mains: "a", box: "ready", seen: "a=exit1"}, "start a"},
		"one of two is done":                {world{policy: never, mains: "a b", box: "ready", seen: "a=exit0 b=run"}, ""},
		"backs off":                         {world{policy: always, mains: "a", box: "ready", seen: "a=exit1", back: map[string]Backoff{"a": {10 * time.Second, t0.Add(-2 * time.Second)}}}, " backoff wake9s"},
		"others start while one backs off":  {world{policy: always, mains: "a b", box: "ready", seen: "a=exit1", back: map[string]Backoff{"a": {10 * time.Second, t0.Add(-2 * time.Second)}}}, "start b backoff wake9s"},
		"a crash between create and start":  {world{policy: always, mains: "a", box: "ready", seen: "a=new"}, "remove-container a-id"},
		"sick":                              {world{policy: always, mains: "a", box: "ready", seen: "a=run", bad: "a-id"}, "kill a-id"},
		"sandbox died":                      {world{policy: always, mains: "a", box: "dead", seen: "a=exit1"}, "sandbox"},
		"sandbox died under a container":    {world{policy: always, mains: "a", box: "dead", seen: "a=run"}, "kill a-id"},
		"finished pod keeps dead sandbox":   {world{policy: never, mains: "a", box: "dead", seen: "a=exit0"}, "teardown done"},
		"finished":                          {world{policy: never, mains: "a", box: "dead", seen: "a=exit0", clean: true}, " done over"},
		"stop kills all at once":            {world{policy: always, mains: "a b", box: "ready", seen: "a=run b=run", stop: stop}, "kill a-id,kill b-id"},
		"stop keeps sidecars to the end":    {world{policy: always, inits: "s+ u+", mains: "a", box: "ready", seen: "s=run u=run a=run", stop: stop}, "kill a-id"},
		"sidecars in reverse":               {world{policy: always, inits: "s+ u+", mains: "a", box: "ready", seen: "s=run u=run a=exit0", stop: stop}, "kill u-id"},
		"stop waits for a start":            {world{policy: always, mains: "a", box: "ready", busy: "start a", stop: stop}, ""},
		"stop ends the sandbox":             {world{policy: always, mains: "a", box: "ready", seen: "a=exit0", stop: stop}, "stop-sandbox box done"},
		"stop of an unstarted pod":          {world{policy: always, mains: "a", stop: stop}, "teardown done"},
		"object gone":                       {world{policy: always, mains: "a", box: "dead", seen: "a=exit0", clean: true, stop: &Stop{Gone: true}}, "remove-container a-id done"},
		"object gone, then the sandbox":     {world{policy: always, mains: "a", box: "dead", clean: true, stop: &Stop{Gone: true}}, "remove-sandbox box done"},
		"object gone, then the cgroup":      {world{policy: always, mains: "a", stop: &Stop{Gone: true}}, "teardown done"},
		"object gone, cgroup goes last":     {world{policy: always, mains: "a", box: "dead", stop: &Stop{Gone: true}}, "remove-sandbox box done"},
		"object gone, nothing left":         {world{policy: always, mains: "a", clean: true, stop: &Stop{Gone: true}}, " done over"},
	} {
		plan := Next(c.input())
		var keys []string
		for _, o := range plan.Ops {
			keys = append(keys, o.Key())
		}
		got := strings.Join(keys, ",")
		if plan.Done {
			got += " done"
		}
		if plan.Over {
			got += " over"
		}
		if len(plan.BackingOff) > 0 {
			got += " backoff"
		}
		if !plan.Wake.IsZero() {
			got += " wake" + plan.Wake.Sub(t0).String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	b, end := Backoff{}, t0
	if got := b.Until(end); !got.Equal(end) {
		t.Errorf("the first restart waits until %v", got)
	}
	for _, want := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
		b = b.Next(end)
		if b.Pause != want*time.Second {
			t.Errorf("pause %v, want %v", b.Pause, want*time.Second)
		}
		end = b.Until(end.Add(time.Second))
	}
	if later := end.Add(11 * time.Minute); !b.Until(later).Equal(later) || b.Next(later).Pause != FirstPause {
		t.Error("a container that ran long is not forgiven")
	}
}

func TestRestartRules(t *testing.T) {
	rule := func(op corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) []corev1.ContainerRestartRule {
		return []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestart, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: op, Values: codes}}}
	}
	never := corev1.ContainerRestartPolicyNever
	pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways}}
	c := &corev1.Container{RestartPolicy: &never, RestartPolicyRules: rule(corev1.ContainerRestartRuleOnExitCodesOpIn, 42)}
	if !Restarts(pod, c, false, 42) || Restarts(pod, c, false, 1) || Restarts(pod, c, false, 0) {
		t.Error("exit code 42 alone restarts")
	}
	c.RestartPolicyRules = rule(corev1.ContainerRestartRuleOnExitCodesOpNotIn, 0)
	if !Restarts(pod, c, false, 1) || Restarts(pod, c, false, 0) {
		t.Error("every exit code but 0 restarts")
	}
}

func TestGraceLeft(t *testing.T) {
	in := world{policy: corev1.RestartPolicyAlways, mains: "a", box: "ready", seen: "a=run", stop: &Stop{Grace: 30 * time.Second}}.input()
	in.Pod.DeletionTimestamp = metav1Time(t0.Add(10 * time.Second))
	if g := Next(in).Ops[0].Grace; g != 11*time.Second {
		t.Errorf("after a restart of the kubelet %v are left, want what is left of the period", g)
	}
}

func metav1Time(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }
