package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/server"
	"minato.dev/minato/internal/run"
)

// startServer listens where Config.Listen says.
func (k *Kubelet) startServer(s *run.Scope) error {
	if k.cfg.Listen == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(s.Context(), "tcp", k.cfg.Listen)
	if err != nil {
		return fmt.Errorf("kubelet API: %w", err)
	}
	srv := server.New(server.Config{Host: host{k}, Runtime: k.cfg.CRI, Images: k.cfg.CRI, Auth: server.NewAuth(k.c, k.cfg.NodeName),
		NodeName: k.cfg.NodeName, LogDir: k.cfg.LogDir, CheckpointDir: filepath.Join(k.cfg.RootDir, "checkpoints"), Log: k.cfg.Log})
	s.Go("kubelet API", func(ctx context.Context) error { return srv.Serve(ctx, l, k.cfg.ServingCert, k.cfg.ClientCA) })
	return nil
}

// host is the Kubelet as its server sees it.
type host struct{ k *Kubelet }

// Pods implements server.Host.
func (h host) Pods() []*corev1.Pod {
	var out []*corev1.Pod
	for _, w := range h.k.all() {
		if pod, ok := w.shown(); ok {
			out = append(out, pod)
		}
	}
	return out
}

// Pod implements server.Host.
func (h host) Pod(ns, name string, uid types.UID) (*corev1.Pod, bool) {
	for _, w := range h.k.all() {
		pod, ok := w.shown()
		if ok && pod.Namespace == ns && pod.Name == name && (uid == "" || uid == pod.UID) {
			return pod, true
		}
	}
	return nil, false
}

// shown is the pod with the status derived last; false for one whose object is gone.
func (w *worker) shown() (*corev1.Pod, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pod := *w.next
	pod.Status = w.public
	return &pod, !w.gone
}

// Container implements server.Host.
func (h host) Container(pod *corev1.Pod, name string, previous bool) (id, log string, err error) {
	w := h.k.worker(pod.UID)
	spec, _ := decide.Find(&pod.Spec, name)
	if w == nil || spec == nil {
		return "", "", apierrors.NewNotFound(corev1.Resource("containers"), name)
	}
	w.mu.Lock()
	p, last := w.shownSeen, lastState(w.public, name)
	w.mu.Unlock()
	c := p.Latest(name)
	if previous {
		if c = p.ByID(last); c == nil {
			return "", "", apierrors.NewBadRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", name, pod.Name))
		}
	}
	if c == nil || c.State == seen.Created {
		return "", "", apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start: %s", name, pod.Name, waitingReason(pod, name)))
	}
	return c.ID, c.LogPath, nil
}

// Running implements server.Host.
func (h host) Running(pod *corev1.Pod, name string) (id string, ok bool) {
	w := h.k.worker(pod.UID)
	if w == nil {
		return "", false
	}
	w.mu.Lock()
	c := w.shownSeen.Latest(name)
	w.mu.Unlock()
	if c == nil || c.State != seen.Running {
		return "", false
	}
	return c.ID, true
}

// lastState is the ID of the container that the status names as the last one: while the newest waits in its back-off,
// that is the one which ended just now.
func lastState(st corev1.PodStatus, name string) string {
	for _, list := range [][]corev1.ContainerStatus{st.ContainerStatuses, st.InitContainerStatuses, st.EphemeralContainerStatuses} {
		for _, c := range list {
			if t := c.LastTerminationState.Terminated; c.Name == name && t != nil {
				_, id, _ := strings.Cut(t.ContainerID, "://")
				return id
			}
		}
	}
	return ""
}

func waitingReason(pod *corev1.Pod, name string) string {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for _, c := range list {
			if w := c.State.Waiting; c.Name == name && w != nil {
				switch w.Reason {
				case "ErrImagePull":
					return "image can't be pulled"
				case "ImagePullBackOff":
					return "trying and failing to pull image"
				}
				return w.Reason
			}
		}
	}
	return "ContainerCreating"
}

// Ended implements server.Host.
func (h host) Ended(ctx context.Context, pod *corev1.Pod, id string) <-chan struct{} {
	ch := make(chan struct{})
	w := h.k.worker(pod.UID)
	if w == nil {
		close(ch)
		return ch
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !isLive(w.shownSeen, id) {
		close(ch)
		return ch
	}
	if w.enders == nil {
		w.enders = map[string][]chan struct{}{}
	}
	w.enders[id] = append(w.enders[id], ch)
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.enders[id] = slices.DeleteFunc(w.enders[id], func(c chan struct{}) bool { return c == ch })
	})
	return ch
}

func isLive(p seen.Pod, id string) bool {
	for _, c := range p.Live() {
		if c.ID == id {
			return true
		}
	}
	return false
}

// show hands an observation to the server and tells those that wait for containers to end.
func (w *worker) show(p seen.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shownSeen = p
	for id, list := range w.enders {
		if !isLive(p, id) {
			for _, ch := range list {
				close(ch)
			}
			delete(w.enders, id)
		}
	}
}

// Sandbox implements server.Host.
func (h host) Sandbox(pod *corev1.Pod) (string, bool) {
	w := h.k.worker(pod.UID)
	if w == nil {
		return "", false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	box := w.shownSeen.ReadySandbox()
	if box == nil {
		return "", false
	}
	return box.ID, true
}

// Healthy implements server.Host.
func (h host) Healthy(ctx context.Context) error {
	if _, err := h.k.cfg.CRI.Version(ctx, &runtimeapi.VersionRequest{}); err != nil {
		return errors.New("container runtime does not answer")
	}
	return nil
}
