package kubelet_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet"
	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/kubelettest"
	"minato.dev/minato/internal/run"
)

// bench is a kubelet between a real API server and a runtime in memory.
type bench struct {
	t    *testing.T
	api  *apiservertest.Server
	rt   *kubelettest.Runtime
	cfg  kubelet.Config
	real *cri.Client       // in place of rt
	way  http.RoundTripper // to api; nil: there is nothing between
	stop func()

	ready, over chan struct{} // closed when the kubelet that was launched last is so
}

func start(t *testing.T, change ...func(*bench)) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, api: apiservertest.Start(t), rt: kubelettest.New()}
	b.cfg = kubelet.Config{NodeName: "n1", NodeIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, RootDir: filepath.Join(dir, "kubelet"), LogDir: filepath.Join(dir, "logs"),
		CgroupRoot: fmt.Sprintf("/minato-test-%d-%s", os.Getpid(), t.Name()), ClusterDNS: []netip.Addr{netip.MustParseAddr("10.96.0.10")}, Version: "v1.37.2+test", EvictionHard: map[string]string{"memory.available": "100Mi"},
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(b)
	}
	if b.real != nil {
		b.cfg.CRI = b.real
	} else {
		b.cfg.CRI = b.rt.Serve(t)
	}
	t.Cleanup(func() {
		tree, err := cgroup.New(b.cfg.CgroupRoot)
		if err != nil {
			t.Fatal(err)
		}
		b.poll(func() bool { err = tree.RemoveRoot(); return err == nil }, // who was killed may still be on the way out
			func() string { return fmt.Sprintf("cgroups are left: %v", err) })
	})
	b.begin()
	return b
}

// begin starts the kubelet and waits until it is ready; stop ends it and may be followed by begin.
func (b *bench) begin() {
	b.t.Helper()
	b.launch()
	b.wait()
}

// launch starts the kubelet.
func (b *bench) launch() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	scope := run.NewScope(ctx)
	log, c := b.cfg.Log, b.api.Client
	if b.way != nil {
		c = client.New(b.api.URL, b.way, "test/1")
	}
	views := client.NewViews(ctx, c, log)
	rec := client.NewRecorder(c, log, "kubelet", "n1")
	scope.Go("recorder", rec.Run)
	k, err := kubelet.New(b.cfg, c, views, rec)
	if err != nil {
		b.t.Fatal(err)
	}
	ready, over := make(chan struct{}), make(chan struct{})
	scope.Go("kubelet", func(ctx context.Context) error {
		defer close(over)
		return k.Run(ctx, func() { close(ready) })
	})
	b.ready, b.over = ready, over
	ended := false
	b.stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := scope.Wait(); err != nil {
			b.t.Errorf("kubelet: %v", err)
		}
		_ = views.Wait()
	}
	b.t.Cleanup(b.stop)
}

// wait returns when the kubelet is ready.
func (b *bench) wait() {
	b.t.Helper()
	select {
	case <-b.ready:
	case <-b.over:
		b.stop()
		b.t.Fatal("kubelet did not start")
	case <-time.After(time.Minute):
		b.t.Fatal("kubelet is not ready in time")
	}
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	zero := int64(1)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: corev1.PodSpec{NodeName: "n1", TerminationGracePeriodSeconds: &zero, Containers: []corev1.Container{{Name: "main", Image: "local", ImagePullPolicy: corev1.PullIfNotPresent}}}}
	no := false
	p.Spec.AutomountServiceAccountToken = &no
	for _, f := range change {
		f(p)
	}
	return p
}

func (b *bench) create(p *corev1.Pod) *corev1.Pod {
	b.t.Helper()
	got, err := client.Of(b.api.Client, client.Pods).Create(b.t.Context(), p)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// until reads the pod until ok, or fails as poll does, showing the last status.
func (b *bench) until(name, what string, ok func(*corev1.Pod) bool) *corev1.Pod {
	b.t.Helper()
	pods := client.Of(b.api.Client, client.Pods)
	var last *corev1.Pod
	b.poll(func() bool {
		p, err := pods.Get(b.t.Context(), "default", name)
		if apierrors.IsNotFound(err) {
			p = nil
		} else if err != nil {
			b.t.Fatal(err)
		}
		last = p
		return ok(p)
	}, func() string {
		if last == nil {
			return fmt.Sprintf("pod %s: %s did not happen; it is gone", name, what)
		}
		return fmt.Sprintf("pod %s: %s did not happen; status %+v", name, what, last.Status)
	})
	return last
}

// poll asks ok again and again until it is true, or fails after a minute, which only what hangs takes, with what says.
func (b *bench) poll(ok func() bool, says func() string) {
	b.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			b.t.Fatal(says())
		}
	}
}

func isReady(p *corev1.Pod) bool {
	if p == nil {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func TestPodLives(t *testing.T) {
	b := start(t)
	began := time.Now()
	b.create(pod("p"))
	p := b.until("p", "Ready", isReady)
	t.Logf("ready after %v", time.Since(began))
	if p.Status.Phase != corev1.PodRunning || p.Status.PodIP == "" || p.Status.HostIP != "192.0.2.1" || p.Status.StartTime == nil || p.Status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("status is %+v", p.Status)
	}
	cs := p.Status.ContainerStatuses[0]
	if cs.State.Running == nil || !cs.Ready || cs.ContainerID == "" || cs.RestartCount != 0 || cs.Started == nil || !*cs.Started {
		t.Errorf("container status is %+v", cs)
	}
	if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", "p", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.until("p", "its removal", func(p *corev1.Pod) bool { return p == nil })
	b.empty()
}

// empty waits until nothing of any pod is left in the runtime and in the directories.
func (b *bench) empty() {
	b.t.Helper()
	left := func() string {
		boxes, err := b.cfg.CRI.ListPodSandbox(b.t.Context(), &runtimeapi.ListPodSandboxRequest{})
		if err != nil {
			b.t.Fatal(err)
		}
		list, err := b.cfg.CRI.ListContainers(b.t.Context(), &runtimeapi.ListContainersRequest{})
		if err != nil {
			b.t.Fatal(err)
		}
		pods, _ := os.ReadDir(filepath.Join(b.cfg.RootDir, "pods"))
		logs, _ := os.ReadDir(b.cfg.LogDir)
		if len(boxes.Items)+len(list.Containers)+len(pods)+len(logs) == 0 {
			return ""
		}
		return fmt.Sprintf("%d sandboxes, %d containers, directories %v %v", len(boxes.Items), len(list.Containers), pods, logs)
	}
	b.poll(func() bool { return left() == "" }, func() string { return "left: " + left() })
}
