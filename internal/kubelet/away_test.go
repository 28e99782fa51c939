package kubelet_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/client"
)

// gate is a way to the API server that can be shut.
type gate struct{ shut atomic.Bool }

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.shut.Load() {
		return nil, errors.New("the server is away")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// A node that starts while its server is away looks after the pods that it knows: it restarts and probes them, makes them
// anew, and runs those from files. What the server says counts as soon as it is there again.
func TestStartWithoutServer(t *testing.T) {
	g := &gate{}
	var probed atomic.Int64
	b := start(t, func(b *bench) {
		b.cfg.ManifestDir, b.cfg.Remember, b.way = filepath.Join(t.TempDir(), "manifests"), true, g
		b.rt.OnExec = func(string, []string) (int32, string) { probed.Add(1); return 0, "" }
	})
	if _, err := client.Of(b.api.Client, client.Secrets).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"}, StringData: map[string]string{"k": "v"}}); err != nil {
		t.Fatal(err)
	}
	stays := b.create(pod("stays", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "s", MountPath: "/s"}}
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}
	}))
	goes := b.create(pod("goes", func(p *corev1.Pod) { p.Spec.Containers[0].Name = "other" }))
	for _, p := range []*corev1.Pod{stays, goes} {
		b.until(p.Name, "Ready", isReady)
		file := filepath.Join(b.cfg.RootDir, "pods", string(p.UID), "pod.json")
		b.poll(func() bool { _, err := os.Stat(file); return err == nil }, func() string { return file + " is not written" })
	}

	b.stop()
	g.shut.Store(true)
	b.launch()
	before := probed.Load()
	b.poll(func() bool { return probed.Load() > before }, func() string { return "no probe while the server is away" })
	b.rt.Exit("main", 1, "")
	b.started("main", 1)
	b.manifest("web.yaml", strings.Replace(staticPod, "name: main", "name: file", 1))
	b.started("file", 0)
	b.rt.KillSandboxes() // as after a boot
	b.started("main", 2)
	b.started("other", 1)
	zero := int64(0)
	if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", "goes", metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.ready:
		t.Error("it is ready without its server")
	default:
	}

	g.shut.Store(false)
	b.wait()
	b.until("stays", "Ready, restarted twice", func(p *corev1.Pod) bool { return isReady(p) && p.Status.ContainerStatuses[0].RestartCount == 2 })
	b.until("web-n1", "Ready", isReady)
	b.poll(func() bool { return b.running("other") == "" }, func() string { return "what the server does not know runs on: " + b.running("other") })
	if err := os.Remove(filepath.Join(b.cfg.ManifestDir, "web.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", "stays", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.empty()
}

// started waits for a running container of that name and attempt.
func (b *bench) started(name string, attempt int) {
	b.t.Helper()
	want := fmt.Sprint(name, " ", attempt)
	b.poll(func() bool { return strings.Contains(b.running(name), want) }, func() string { return want + " does not run, but " + b.running(name) })
}

// running lists the attempts of the running containers of that name.
func (b *bench) running(name string) (out string) {
	for _, c := range b.rt.Containers() {
		if m := c.Config.Metadata; m.Name == name && c.Status.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
			out += fmt.Sprint(m.Name, " ", m.Attempt, "\n")
		}
	}
	return out
}
