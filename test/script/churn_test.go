package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
)

// churn ROUNDS [SEED [FAULT ...]] changes the cluster at random, as users do, while faults meet it, and afterwards asks
// for everything: what is wanted runs, what lived through is untouched, ends are told, logs are whole, and nothing is
// left (see audit). FAULT is one of those in faults; without one: all that leave containers running. The seed is drawn, and
// told, where it is 0 or missing and CHAOS_SEED has none. The story must have loaded box:1.
func churn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: churn ROUNDS [SEED [FAULT ...]]")
	}
	rounds, err := strconv.Atoi(args[0])
	ts.Check(err)
	seed := seedOf(ts, args)
	kinds := []string{"kill", "kill", "twice", "start", "shim", "keeper", "point"}
	if len(args) > 2 {
		kinds = args[2:]
	}
	ts.Logf("churn: seed %d, replay with CHAOS_SEED=%d", seed, seed)
	c := &churner{ts: ts, draw: rand.New(rand.NewPCG(seed, 1)), ends: map[string]int{}, gone: map[string]bool{}, steady: map[string]corev1.ContainerStatus{}}
	c.settle()
	for round := range rounds {
		c.round(round, kinds[c.draw.IntN(len(kinds))])
	}
	c.judge()
}

// seedOf reads the second argument or CHAOS_SEED, or draws a seed.
func seedOf(ts *testscript.TestScript, args []string) uint64 {
	given := []string{"0", os.Getenv("CHAOS_SEED")}
	if len(args) > 1 {
		given[0] = args[1]
	}
	for _, s := range given {
		if s == "" {
			continue
		}
		seed, err := strconv.ParseUint(s, 10, 64)
		ts.Check(err)
		if seed != 0 {
			return seed
		}
	}
	return uint64(time.Now().UnixNano())
}

// fixtures live through everything that is not a reboot.
const fixtures = `
apiVersion: v1
kind: Pod
metadata: {name: counter, labels: {keep: "yes"}}
spec:
  containers: [{name: c, image: "box:1", command: [sh, -c, "i=0; while true; do i=$((i+1)); echo line $i; usleep 20000; done"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: probed, labels: {keep: "yes"}}
spec:
  containers:
  - {name: c, image: "box:1", command: [sleep, "36000"], livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 30}}
---
apiVersion: v1
kind: Pod
metadata: {name: deaf, labels: {keep: "yes"}}
spec:
  terminationGracePeriodSeconds: 2
  containers: [{name: c, image: "box:1", command: [sh, -c, "trap '' TERM; while true; do sleep 1; done"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: loop}
spec:
  containers: [{name: c, image: "box:1", command: [sh, -c, "echo line 1; sleep 1; exit 3"]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: "box:1", command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 1; done"], env: [{name: R, value: "0"}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`

// A churner knows what was asked for and acknowledged.
type churner struct {
	ts       *testscript.TestScript
	draw     *rand.Rand
	mu       sync.Mutex
	ends     map[string]int  // pods that end by themselves, and how
	gone     map[string]bool // pods whose deletion was acknowledged
	steady   map[string]corev1.ContainerStatus
	rebooted bool
	more     int // rounds of acts that a fault has added
}

// settle brings the fixtures up and notes their containers.
func (c *churner) settle() {
	file := c.ts.MkAbs("churn.yaml")
	c.ts.Check(os.WriteFile(file, []byte(fixtures), 0o644))
	c.must("apply", "-f", file)
	c.must("rollout", "status", "deployment/web", "--timeout=180s")
	c.must("wait", "--for=condition=Ready", "pod", "-l", "keep", "--timeout=180s")
	for _, p := range c.pods("-l", "keep") {
		c.steady[p.Name] = p.Status.ContainerStatuses[0]
	}
}

func (c *churner) must(args ...string) string {
	out, err := kubectl(c.ts, args...)
	if err != nil {
		c.ts.Fatalf("kubectl %v: %v", args, err)
	}
	return out
}

func (c *churner) pods(args ...string) []corev1.Pod {
	var list corev1.PodList
	c.ts.Check(json.Unmarshal([]byte(c.must(append([]string{"get", "pods", "-o", "json"}, args...)...)), &list))
	return list.Items
}

// kubectl runs the real one with a deadline of its own; it may run beside the story.
func kubectl(ts *testscript.TestScript, args ...string) (string, error) {
	return kubectlWithin(context.Background(), ts.Getenv("BIN"), ts.Getenv("KUBECONFIG"), 4*time.Minute, args...)
}

func kubectlWithin(ctx context.Context, bin, config string, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+config)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// round does a handful of things side by side and lets the fault fall among them.
func (c *churner) round(n int, fault string) {
	acts, ctx, cancel := c.acts(n), context.Background(), func() {}
	ctx, cancel = context.WithCancel(ctx)
	var wait sync.WaitGroup
	for _, act := range acts {
		wait.Go(func() { act(ctx) })
	}
	pause := time.Duration(c.draw.IntN(1500)) * time.Millisecond
	c.ts.Logf("round %d: %s after %s", n, fault, pause)
	<-time.After(pause)
	c.fault(fault)
	cancel()
	wait.Wait()
}

func (c *churner) acts(round int) []func(context.Context) {
	bin, config := c.ts.Getenv("BIN"), c.ts.Getenv("KUBECONFIG")
	run := func(ctx context.Context, args ...string) error {
		_, err := kubectlWithin(ctx, bin, config, 10*time.Second, args...)
		return err
	}
	try := func(args ...string) func(context.Context) {
		return func(ctx context.Context) { _ = run(ctx, args...) } // a fault may fall here
	}
	grace := []string{"--grace-period=0 --force", "--grace-period=1", "--grace-period=30"}[c.draw.IntN(3)]
	name, code := fmt.Sprintf("ends-%d", round), 1+c.draw.IntN(100)
	shell := fmt.Sprintf("echo line 1; usleep %d; echo line 2; exit %d", c.draw.IntN(3_000_000), code)
	all := []func(context.Context){
		try("scale", "deployment/web", fmt.Sprintf("--replicas=%d", c.draw.IntN(6))),
		try("set", "env", "deployment/web", fmt.Sprintf("R=%d", round+1)),
		try("exec", "counter", "--", "sleep", "2"),
		try("port-forward", "pod/probed", ":80"),
		try("logs", "-f", "counter"),
	}
	c.draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return append(all[:2+c.draw.IntN(4)],
		func(ctx context.Context) {
			if run(ctx, "run", name, "--image=box:1", "--restart=Never", "--", "sh", "-c", shell) == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.ends[name] = code
			}
		},
		func(ctx context.Context) {
			name := fmt.Sprintf("brief-%d", round)
			if run(ctx, "run", name, "--image=box:1", "--", "sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done") != nil {
				return
			}
			if run(ctx, append([]string{"delete", "pod", name, "--wait=false"}, strings.Fields(grace)...)...) == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.gone[name] = true
			}
		})
}

// judge asks, with churn stopped, for everything.
func (c *churner) judge() {
	c.must("scale", "deployment/web", "--replicas=3")
	c.must("rollout", "status", "deployment/web", "--timeout=180s")
	c.must("wait", "--for=condition=Ready", "pod", "-l", "keep", "--timeout=180s")
	c.until("every pod that was deleted is gone", func() string {
		for _, p := range c.pods() {
			if c.gone[p.Name] {
				return p.Name + " is there"
			}
		}
		return ""
	})
	c.until("every end is told", c.ended)
	if !c.rebooted {
		c.untouched()
	}
	if out := c.must("exec", "counter", "--", "echo", "alive"); out != "alive\n" {
		c.ts.Fatalf("exec: %q", out)
	}
	c.logs()
	audit(c.ts, false, nil)
	c.must("delete", "deployment,service", "web")
	c.must("delete", "pods", "--all", "--timeout=180s")
	c.until("no pod is left", func() string {
		if n := len(c.pods("-A")); n > 0 {
			return fmt.Sprintf("%d pods", n)
		}
		return ""
	})
	audit(c.ts, false, nil)
}

// until asks until the answer is empty.
func (c *churner) until(what string, f func() string) {
	deadline := time.Now().Add(4 * time.Minute)
	for {
		answer := f()
		if answer == "" {
			return
		}
		if time.Now().After(deadline) {
			c.ts.Fatalf("%s: no: %s", what, answer)
		}
		<-time.After(200 * time.Millisecond)
	}
}

// ended looks for each pod that ends by itself: its exit code, unless a reboot ended it first.
func (c *churner) ended() string {
	there := map[string]corev1.Pod{}
	for _, p := range c.pods() {
		there[p.Name] = p
	}
	for name, code := range c.ends {
		p, ok := there[name]
		switch {
		case !ok:
			return name + " is lost"
		case p.Status.Phase != corev1.PodFailed:
			return fmt.Sprintf("%s is %s", name, p.Status.Phase)
		case c.rebooted:
		case p.Status.ContainerStatuses[0].State.Terminated == nil || int(p.Status.ContainerStatuses[0].State.Terminated.ExitCode) != code:
			return fmt.Sprintf("%s: %v, not exit code %d", name, p.Status.ContainerStatuses[0].State, code)
		}
	}
	return ""
}

func (c *churner) untouched() {
	for _, p := range c.pods("-l", "keep") {
		now, was := p.Status.ContainerStatuses[0], c.steady[p.Name]
		if now.ContainerID != was.ContainerID || now.RestartCount != 0 {
			c.ts.Fatalf("%s: container %s restarted %d times, was %s", p.Name, now.ContainerID, now.RestartCount, was.ContainerID)
		}
	}
}

// shellSays is how the shell tells of its sleep's end.
var shellSays = regexp.MustCompile(`^\S+ stderr F (Terminated|Killed)\n$`)

var criLine = regexp.MustCompile(`^\S+ stdout F line (\d+)$`)

// logs reads every log file: lines count from 1, none lost, none doubled.
func (c *churner) logs() {
	total := 0
	err := each(filepath.Join(c.ts.Getenv("DATA"), "log/pods/*/*/*.log"), func(path string) error {
		b, err := os.ReadFile(path)
		want := 0
		for line := range strings.Lines(string(b)) {
			if shellSays.MatchString(line) {
				continue
			}
			m := criLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil && !strings.HasSuffix(line, "\n") {
				break // the counter is writing it
			}
			want++
			if m == nil || m[1] != strconv.Itoa(want) {
				return fmt.Errorf("%s: %q where line %d is due", path, line, want)
			}
		}
		total += want
		return err
	})
	c.ts.Check(err)
	c.ts.Logf("churn: %d log lines, none lost, none doubled; %d ends told; %d pods gone", total, len(c.ends), len(c.gone))
}
