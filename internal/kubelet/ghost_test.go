package kubelet_test

import (
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// TestGhost: a sandbox of a pod that nobody knows comes up while the kubelet runs, as that of a pod does which was deleted
// while the runtime was making it.
func TestGhost(t *testing.T) {
	b := start(t)
	b.create(pod("stays"))
	b.until("stays", "Ready", isReady) // by now the kubelet follows the runtime's events
	_, err := b.cfg.CRI.RunPodSandbox(t.Context(), &runtimeapi.RunPodSandboxRequest{Config: &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "late", Namespace: "default", Uid: "u-late"},
		Labels:   map[string]string{seen.PodName: "late", seen.PodNamespace: "default", seen.PodUID: "u-late"}}})
	if err != nil {
		t.Fatal(err)
	}
	b.poll(func() bool { return len(b.rt.Sandboxes()) == 1 }, func() string { return "the sandbox of an unknown pod is left" })
}
