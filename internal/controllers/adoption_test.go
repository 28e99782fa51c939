package controllers_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
)

// lagging is the way to the server on which the watches of one resource can be held up, and which counts who asks for one
// of its objects.
type lagging struct {
	path string // of the collection, without its namespace: "/jobs"
	way  http.RoundTripper

	mu    sync.Mutex
	gate  chan struct{} // closed while the watches go on
	asked int
}

func newLagging(resource string) *lagging {
	// A server that stops waits for connections that were never used: there are none.
	l := &lagging{path: "/" + resource, way: &http.Transport{DisableKeepAlives: true}, gate: make(chan struct{})}
	close(l.gate)
	return l
}

func (l *lagging) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, l.path+"/"):
		l.mu.Lock()
		l.asked++
		l.mu.Unlock()
	case r.URL.Query().Get("watch") != "" && strings.HasSuffix(r.URL.Path, l.path):
		resp, err := l.way.RoundTrip(r)
		if err == nil {
			resp.Body = &gated{ReadCloser: resp.Body, gate: l.open, done: r.Context().Done()}
		}
		return resp, err
	}
	return l.way.RoundTrip(r)
}

func (l *lagging) open() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate
}

// hold stops the watches until the returned function is called.
func (l *lagging) hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gate := make(chan struct{})
	l.gate, l.asked = gate, 0
	return sync.OnceFunc(func() { close(gate) })
}

func (l *lagging) wasAsked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked > 0
}

// gated passes on what it has read once the gate is open.
type gated struct {
	io.ReadCloser
	gate func() <-chan struct{}
	done <-chan struct{}
}

func (g *gated) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	select {
	case <-g.gate():
		return n, err
	case <-g.done:
		return 0, context.Canceled
	}
}

// A controller whose view of owners is behind its view of dependents must not take in again what was left behind on purpose:
// without its owner that would be collected as garbage.
func TestWhatWasLeftBehindIsNotAdoptedAgain(t *testing.T) {
	app := map[string]string{"app": "web"}
	meta := metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: app}
	selector := &metav1.LabelSelector{MatchLabels: app}
	template := web(1, "runs").Spec.Template
	for resource, left := range map[string]func(*harbour, *lagging){
		"jobs": leftBy(client.Jobs, client.Pods, &batchv1.Job{ObjectMeta: meta, Spec: batch("runs", nil).Spec},
			func(j *batchv1.Job) bool { return j.Status.Ready != nil && *j.Status.Ready == 1 }),
		"replicationcontrollers": leftBy(client.ReplicationControllers, client.Pods,
			&corev1.ReplicationController{ObjectMeta: meta, Spec: corev1.ReplicationControllerSpec{Template: &template}},
			func(r *corev1.ReplicationController) bool { return r.Status.AvailableReplicas == 1 }),
		"replicasets": leftBy(client.ReplicaSets, client.Pods, &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template}},
			func(r *appsv1.ReplicaSet) bool { return r.Status.AvailableReplicas == 1 }),
		"statefulsets": leftBy(client.StatefulSets, client.Pods, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template}},
			func(s *appsv1.StatefulSet) bool { return s.Status.AvailableReplicas == 1 }),
		"daemonsets": leftBy(client.DaemonSets, client.Pods, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}},
			func(d *appsv1.DaemonSet) bool { return d.Status.NumberAvailable == 1 }),
		"deployments": leftBy(client.Deployments, client.ReplicaSets, web(1, "runs"), func(d *appsv1.Deployment) bool { return d.Status.AvailableReplicas == 1 }),
	} {
		t.Run(resource, func(t *testing.T) {
			l := newLagging(resource)
			left(openWith(t, func(ctx context.Context, srv *apiservertest.Server, log *slog.Logger) *client.Views {
				return client.NewViews(ctx, client.New(srv.URL, l, "lagging"), log)
			}), l)
		})
	}
}

// leftBy makes an owner, deletes it so that its dependents stay, and looks whether they do.
func leftBy[O, D client.Object](owners client.Kind[O], dependents client.Kind[D], owner O, settled func(O) bool) func(*harbour, *lagging) {
	return func(h *harbour, l *lagging) {
		ctx, door, view := h.Context(), client.Of(h.c, owners), client.ViewOf(h.vs, owners)
		list := func() (uids []types.UID, held []string) {
			all, _, err := client.Of(h.c, dependents).List(ctx, "default", metav1.ListOptions{LabelSelector: "app=web"})
			h.must(err)
			for _, d := range all {
				uids = append(uids, d.GetUID())
				if len(d.GetOwnerReferences())+len(d.GetFinalizers()) > 0 {
					held = append(held, fmt.Sprintf("%s by %v %v", d.GetName(), d.GetOwnerReferences(), d.GetFinalizers()))
				}
			}
			return uids, held
		}
		_, err := door.Create(ctx, owner)
		h.must(err)
		h.until("it has settled", func() (bool, string) {
			o, ok := view.Get("default", "web")
			return ok && settled(o), fmt.Sprintf("%+v", o)
		})
		before, _ := list()
		release := l.hold()
		defer release()
		orphan := metav1.DeletePropagationOrphan
		h.must(door.Delete(ctx, "default", "web", metav1.DeleteOptions{PropagationPolicy: &orphan}))
		h.until("it is gone", func() (bool, string) {
			_, err := door.Get(ctx, "default", "web")
			return apierrors.IsNotFound(err), fmt.Sprint(err)
		})
		h.until("its controller, who still sees it, asks for it", func() (bool, string) {
			uids, held := list()
			if len(uids) != len(before) {
				h.Fatalf("there are %d of %d: %v", len(uids), len(before), held)
			}
			return l.wasAsked(), fmt.Sprint(held)
		})
		release()
		h.until("it sees that it is gone", func() (bool, string) {
			_, there := view.Get("default", "web")
			return !there, "it is there"
		})
		h.until("what it left is free", func() (bool, string) {
			uids, held := list()
			if !slices.Equal(uids, before) {
				h.Fatalf("left were %v, and now there are %v: %v", before, uids, held)
			}
			return len(held) == 0, fmt.Sprint(held)
		})
	}
}
