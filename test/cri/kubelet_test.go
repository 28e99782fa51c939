package cri

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/cri"
)

//go:embed testdata/pods.yaml
var pods string

// theirCluster is upstream's control plane and kubelet, on our runtime.
type theirCluster struct {
	t *testing.T
	*upstream.Cluster
	config, dir string
	cri         *cri.Client
}

// TestUpstreamKubelet has upstream's kubelet run pods on our runtime.
func TestUpstreamKubelet(t *testing.T) {
	if !*containerdToo {
		t.Log("upstream's kubelet is asked with -containerd")
		return
	}
	k := startTheirs(t)
	k.must("apply", "-f", k.file("pods.yaml", pods))
	k.must("wait", "--for=condition=Ready", "pod/lives", "pod/mapped", "pod/shares", "--timeout=90s")
	for _, c := range []struct{ want, args string }{
		{"from the map", "exec lives -c main -- cat /cm/k"},
		{"from the init", "exec lives -c main -- cat /work/x"},
		{"lives", "exec lives -c main -- cat /podinfo/name"},
		{"hooked", "exec lives -c main -- cat /work/hook"},
		{"a part of an image", "exec lives -c main -- cat /image/part"},
		{"part", "exec lives -c main -- ls /sub"},
		{"hello from lives", "logs lives -c main"},
		{"hello from lives", "logs lives -c main --since=1h --timestamps"},
		{"sleep 4242", "exec shares -c b -- ps"},
		{"0 65536", "exec mapped -- sh -c 'tr -s \" \" </proc/self/uid_map | cut -d\" \" -f2,4'"},
		{"1000 1000 ", "exec lives -c side -- sh -c 'echo $(id -u) $(id -g)'"},
		{"67108864", "exec lives -c main -- sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max'"},
	} {
		if out := k.must(words(c.args)...); !strings.Contains(out, strings.TrimSpace(c.want)) {
			t.Errorf("kubectl %s: %q, want %q", c.args, out, c.want)
		}
	}
	if out, err := k.kubectl("exec", "lives", "-c", "main", "--", "sh", "-c", "exit 7"); err == nil || !strings.Contains(out, "exit code 7") {
		t.Errorf("an exec that fails: %s, %v", out, err)
	}
	k.until("the crash is seen", "^[1-9][0-9]* 1 oops$", "get", "pod", "crashes", "-o", "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode} {.status.containerStatuses[0].lastState.terminated.message}")
	k.until("the last round's log", "^round", "logs", "crashes", "--previous")
	k.until("memory ends it", "^OOMKilled 137$", "get", "pod", "eats", "-o", "jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}")
	k.until("the probe kills it", "^[1-9]", "get", "pod", "unwell", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
	k.must("patch", "pod", "lives", "--subresource=resize", "-p", `{"spec":{"containers":[{"name":"main","resources":{"requests":{"memory":"96Mi"},"limits":{"memory":"96Mi"}}}]}}`)
	k.until("it has more memory", "100663296", "exec", "lives", "-c", "main", "--", "sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max")
	k.until("statistics", `"name": "lives"`, "get", "--raw", "/api/v1/nodes/"+upstream.NodeName+"/proxy/stats/summary")
	k.must("debug", "lives", "--image="+toolbox, "--image-pull-policy=Never", "--target=main", "-c", "debug", "--", "sh", "-c", "ps; sleep 1000")
	k.until("the debugger sees", "sleep 1000", "logs", "lives", "-c", "debug")
	k.must("delete", "pod", "--all", "--grace-period=2", "--timeout=60s")
	k.until("nothing is left", "none", "--left")
}

// words splits a command line; what is within single quotes is one word.
func words(line string) (out []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

func (k *theirCluster) file(name, text string) string {
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

func (k *theirCluster) kubectl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(k.t.Context(), 100*time.Second)
	defer cancel()
	cmd := k.Net.Command(ctx, append([]string{filepath.Join(upstream.Dir(), "kubectl"), "--kubeconfig", k.config}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (k *theirCluster) must(args ...string) string {
	k.t.Helper()
	out, err := k.kubectl(args...)
	if err != nil {
		all, _ := k.kubectl("get", "pods,events", "-A", "-o", "wide")
		k.t.Fatalf("kubectl %s: %v: %s\n%s\n%s", strings.Join(args, " "), err, out, all, k.NodeWords())
	}
	return out
}

// until asks until the answer matches. "--left" asks the runtime what it still has.
func (k *theirCluster) until(what, want string, args ...string) {
	k.t.Helper()
	began := time.Now()
	defer func() { k.t.Logf("%s: %.1f s", what, time.Since(began).Seconds()) }()
	var out string
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); <-time.After(200 * time.Millisecond) {
		if args[0] == "--left" {
			out = k.left()
		} else {
			out, _ = k.kubectl(args...)
		}
		if match(want, out) {
			return
		}
	}
	all, _ := k.kubectl("get", "pods,events", "-A", "-o", "wide")
	k.t.Errorf("never: %s: kubectl %s: %s\n%s", what, strings.Join(args, " "), out, all)
}

func match(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

func (k *theirCluster) left() string {
	l, err := k.cri.ListPodSandbox(k.t.Context(), &api.ListPodSandboxRequest{})
	if err != nil {
		return err.Error()
	}
	if len(l.Items) == 0 {
		return "none"
	}
	return fmt.Sprint(len(l.Items), " sandboxes")
}

// startTheirs starts our runtime, in a process and in the network of upstream's, and then upstream's cluster.
func startTheirs(t *testing.T) *theirCluster {
	if err := upstream.Build(t.Context(), upstream.Dir(), append(upstream.Plane, "kubelet", "kube-scheduler", "kube-controller-manager")...); err != nil {
		t.Fatal(err)
	}
	u, err := upstream.New(t.Context(), upstream.Dir())
	if err != nil {
		t.Fatal(err)
	}
	k := &theirCluster{t: t, Cluster: u, dir: t.TempDir()}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	if k.config, err = u.AdminConfig(); err != nil {
		t.Fatal(err)
	}
	socket, err := u.PrepareForeignNode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k.serve(socket)
	if err := u.StartForeignNode(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, u.NodeWords())
	}
	k.untilReady()
	return k
}

// serve starts this test binary again as the runtime; see TestMain.
func (k *theirCluster) serve(socket string) {
	l := layer(k.t)
	archive := k.file("image.tar", string(saved(k.t, l, toolbox, "")))
	run, err := os.MkdirTemp("/run", "mcri")
	if err != nil {
		k.t.Fatal(err)
	}
	if err := os.Chmod(run, 0o711); err != nil {
		k.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		k.t.Fatal(err)
	}
	cmd := k.Net.Command(context.WithoutCancel(k.t.Context()), self)
	s := setting{Root: k.dir, Run: run, Socket: socket, Archive: archive, Cgroup: k.Cgroup.Path}
	cmd.Env = append(os.Environ(), servesVariable+"="+string(encode(k.t, s)))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := k.Cgroup.Start(cmd); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		errs := []error{k.Stop(), cmd.Process.Signal(os.Interrupt)}
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			errs = append(errs, err)
		}
		if err := errors.Join(append(errs, upstream.Unmount(run), os.RemoveAll(run))...); err != nil {
			k.t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(k.t.Context(), 20*time.Second)
	defer cancel()
	if k.cri, err = cri.Dial(ctx, socket); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { k.cri.Close() })
}

func (k *theirCluster) untilReady() {
	k.until("the node is ready", "True", "get", "node", upstream.NodeName, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	k.until("the account is there", "default", "get", "serviceaccount", "default", "-o", "name")
}
