package kubelet_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/run"
)

const toolbox = "minato.test/toolbox:1"

// containerd starts the distribution's containerd in a network namespace of its own, with an image made of busybox, and
// returns a client. Pods have to use the host network: there is no other.
func containerd(t *testing.T) *cri.Client {
	t.Helper()
	dir := t.TempDir()
	ns := "minato-kubelet-" + fmt.Sprint(os.Getpid())
	sh(t, "ip", "netns", "add", ns)
	t.Cleanup(func() { sh(t, "ip", "netns", "del", ns) })
	config := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`, dir+"/root", dir+"/state", dir+"/c.sock", toolbox)
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	scope := run.NewScope(ctx)
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "nsenter", "--net=/run/netns/"+ns, "containerd", "--config", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scope.Go("containerd", func(context.Context) error { _ = cmd.Wait(); return nil })
	t.Cleanup(func() {
		cancel()
		_ = scope.Wait()
		if t.Failed() {
			lines := strings.Split(out.String(), "\n")
			t.Log(strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	dial, done := context.WithTimeout(t.Context(), 2*time.Minute)
	defer done()
	c, err := cri.Dial(dial, dir+"/c.sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	archive := filepath.Join(dir, "image.tar")
	if err := os.WriteFile(archive, dockerArchive(t), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(t, "ctr", "-a", dir+"/c.sock", "-n", "k8s.io", "images", "import", "--snapshotter", "native", archive)
	return c
}

func sh(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// dockerArchive is an image with busybox and an entry point that sleeps.
func dockerArchive(t *testing.T) []byte {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	files := func(list map[string][]byte, mode int64) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for name, data := range list {
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	layer := files(map[string][]byte{"bin/busybox": busybox, "bin/sh": busybox, "bin/sleep": busybox, "bin/cat": busybox, "etc/passwd": []byte("root:x:0:0::/:/bin/sh\n")}, 0o755)
	config, _ := json.Marshal(map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"Entrypoint": []string{"/bin/sleep", "1000000"}, "Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(layer)}}})
	manifest, _ := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{toolbox}, "Layers": []string{"layer.tar"}}})
	return files(map[string][]byte{"config.json": config, "manifest.json": manifest, "layer.tar": layer}, 0o644)
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func tools(script string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.HostNetwork = true
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = toolbox, corev1.PullNever
		p.Spec.Containers[0].Command = []string{"/bin/sh", "-c", script}
	}
}

// awaitLog reads a log until it has the words: the runtime writes it after the container has spoken.
func awaitLog(t *testing.T, path string, words ...string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
		log, err := os.ReadFile(path)
		missing := err != nil
		for _, w := range words {
			missing = missing || !strings.Contains(string(log), w)
		}
		if !missing {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("log is %q, %v", log, err)
		}
	}
}

// TestContainerd runs real containers under the other container runtime.
func TestContainerd(t *testing.T) {
	rt := containerd(t)
	b := start(t, func(b *bench) { b.real = rt })
	if _, err := client.Of(b.api.Client, client.ConfigMaps).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "cm"}, Data: map[string]string{"k": "from the map"}}); err != nil {
		t.Fatal(err)
	}
	p := b.create(pod("lives", tools("cat /v/k; echo; echo $WHO; sleep 1000000"), func(p *corev1.Pod) {
		c := &p.Spec.Containers[0]
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}}}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
		c.Env = []corev1.EnvVar{{Name: "WHO", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/cat", "/v/k"}}}, PeriodSeconds: 1}
	}))
	b.create(pod("says", tools("echo -n farewell > /dev/termination-log; exit 5"), policy(corev1.RestartPolicyNever)))
	b.create(pod("eats", tools("x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"), policy(corev1.RestartPolicyNever), func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("16Mi")}
	}))
	got := b.until("lives", "Ready", isReady)
	awaitLog(t, filepath.Join(b.cfg.LogDir, "default_lives_"+string(p.UID), "main", "0.log"), "from the map", "lives")
	if !strings.HasPrefix(got.Status.ContainerStatuses[0].ContainerID, "containerd://") {
		t.Errorf("status is %+v", got.Status.ContainerStatuses[0])
	}
	said := b.until("says", "Failed", phase(corev1.PodFailed))
	if tm := said.Status.ContainerStatuses[0].State.Terminated; tm == nil || tm.ExitCode != 5 || tm.Message != "farewell" {
		t.Errorf("state is %+v", said.Status.ContainerStatuses[0].State)
	}
	eaten := b.until("eats", "Failed", phase(corev1.PodFailed))
	if tm := eaten.Status.ContainerStatuses[0].State.Terminated; tm == nil || tm.ExitCode != 137 ||
		tm.Reason != "OOMKilled" && tm.Reason != "Error" { // containerd tells why in an event of its own, which may come after the end
		t.Errorf("state is %+v", eaten.Status.ContainerStatuses[0].State)
	}
	b.stop()
	b.begin()
	again := b.until("lives", "Ready", isReady)
	if again.Status.ContainerStatuses[0].ContainerID != got.Status.ContainerStatuses[0].ContainerID {
		t.Error("the container was not adopted")
	}
	for _, name := range []string{"lives", "says", "eats"} {
		if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"lives", "says", "eats"} {
		b.until(name, "its removal", func(p *corev1.Pod) bool { return p == nil })
	}
	b.empty()
}
