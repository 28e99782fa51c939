package kubelet_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

const staticPod = `apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: local, imagePullPolicy: IfNotPresent}]}
`

func (b *bench) manifest(name, text string) {
	b.t.Helper()
	whole := filepath.Join(b.t.TempDir(), name) // a half written file is a file too
	if err := os.WriteFile(whole, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(whole, filepath.Join(b.cfg.ManifestDir, name)); err != nil {
		b.t.Fatal(err)
	}
}

func TestStaticPod(t *testing.T) {
	b := start(t, func(b *bench) { b.cfg.ManifestDir = filepath.Join(t.TempDir(), "manifests") })
	b.manifest("web.yaml", staticPod)
	first := b.until("web-n1", "Ready", isReady)
	if first.Annotations[corev1.MirrorPodAnnotationKey] == "" || first.OwnerReferences[0].Kind != "Node" || first.Labels["app"] != "web" {
		t.Errorf("mirror is %+v", first.ObjectMeta)
	}
	made, asked := len(b.rt.Containers()), time.Now()
	if err := client.Of(b.api.Client, client.Pods).Delete(t.Context(), "default", "web-n1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	second := b.until("web-n1", "another mirror", func(p *corev1.Pod) bool { return isReady(p) && p.UID != first.UID })
	if len(b.rt.Containers()) != made || second.Status.ContainerStatuses[0].ContainerID != first.Status.ContainerStatuses[0].ContainerID {
		t.Error("the mirror's removal has touched the pod")
	}
	if away := time.Since(asked); away < time.Second {
		t.Errorf("the mirror was away for %s: who waits for its end misses it", away)
	}
	b.stop()
	b.begin()
	b.rt.Exit("main", 1, "")
	b.until("web-n1", "a restart", func(p *corev1.Pod) bool { return isReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1 })
	b.manifest("broken.yaml", "kind: Pod\n")
	b.manifest("web.yaml", staticPod+"# changed\n")
	third := b.until("web-n1", "the new pod", func(p *corev1.Pod) bool { return isReady(p) && p.UID != second.UID })
	if third.Status.ContainerStatuses[0].RestartCount != 0 || third.Annotations[corev1.MirrorPodAnnotationKey] == second.Annotations[corev1.MirrorPodAnnotationKey] {
		t.Errorf("it is the old one: %+v", third.Status.ContainerStatuses[0])
	}
	if err := os.Remove(filepath.Join(b.cfg.ManifestDir, "web.yaml")); err != nil {
		t.Fatal(err)
	}
	b.until("web-n1", "its end", func(p *corev1.Pod) bool { return p == nil })
	b.empty()
}

// What was taken away while nobody was there is gone at the next start, mirror and all.
func TestStaticPodRemovedMeanwhile(t *testing.T) {
	b := start(t, func(b *bench) { b.cfg.ManifestDir = filepath.Join(t.TempDir(), "manifests") })
	b.manifest("web.yaml", staticPod)
	b.until("web-n1", "Ready", isReady)
	b.stop()
	if err := os.Remove(filepath.Join(b.cfg.ManifestDir, "web.yaml")); err != nil {
		t.Fatal(err)
	}
	b.begin()
	b.until("web-n1", "its end", func(p *corev1.Pod) bool { return p == nil })
	b.empty()
}
