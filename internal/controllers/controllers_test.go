package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/scheduler"
)

// harbour is a real API server with all controllers, the scheduler, and a stand-in for the node's agent that says of
// each pod on its node that it runs, and lets go of those that are deleted.
type harbour struct {
	*testing.T
	c   *client.Client
	vs  *client.Views
	url string // of the server, for clients of a test's own
}

func open(t *testing.T) *harbour { return openWith(t, nil) }

// openWith is open with other views for all controllers but the garbage collector, where of gives them.
func openWith(t *testing.T, of func(context.Context, *apiservertest.Server, *slog.Logger) *client.Views) *harbour {
	srv := apiservertest.Start(t)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(t.Context())
	vs := client.NewViews(ctx, srv.Client, log)
	s := run.NewScope(ctx)
	rec := client.NewRecorder(srv.Client, log, "test", "")
	s.Go("events", rec.Run)
	theirs := vs
	if of != nil {
		theirs = of(ctx, srv, log)
	}
	list := controllers.All(func(account string) (*client.Views, *client.Recorder) {
		if account == "generic-garbage-collector" {
			return vs, rec
		}
		return theirs, rec
	}, knowledge(srv), log)
	s.Go("controllers", func(ctx context.Context) error { return control.Run(ctx, log, list) })
	s.Go("scheduler", scheduler.New(vs, rec, log).Run)
	h := &harbour{t, srv.Client, theirs, srv.URL}
	h.node(ctx, s)
	t.Cleanup(func() {
		cancel()
		if err := s.Wait(); err != nil {
			t.Error(err)
		}
		for _, v := range []*client.Views{vs, theirs} {
			if err := v.Wait(); err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

// node makes a node and plays its agent.
func (h *harbour) node(ctx context.Context, s *run.Scope) {
	_, err := client.Of(h.c, client.Nodes).Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	h.must(err)
	h.must(h.ready(ctx, "n1"))
	changed := make(chan *corev1.Pod, 1000)
	client.ViewOf(h.vs, client.Pods).OnChange(func(_, p *corev1.Pod) {
		if p != nil && p.Spec.NodeName != "" {
			changed <- p
		}
	})
	number := map[types.UID]int{} // a pod that changes again before it runs keeps its address
	s.Go("agent", func(ctx context.Context) error {
		for {
			select {
			case p := <-changed:
				if number[p.UID] == 0 {
					number[p.UID] = len(number) + 1
				}
				h.agent(ctx, p, number[p.UID])
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// ready says of a node that it has room and is ready: by a patch, because the node lifecycle controller writes to it too.
func (h *harbour) ready(ctx context.Context, node string) error {
	room := corev1.ResourceList{"cpu": resource.MustParse("4"), "memory": resource.MustParse("8Gi"), "pods": resource.MustParse("110")}
	status, err := json.Marshal(map[string]any{"status": corev1.NodeStatus{Allocatable: room, Capacity: room, Conditions: []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(), Reason: "KubeletReady"}}}})
	if err != nil {
		return err
	}
	_, err = client.Of(h.c, client.Nodes).Patch(ctx, "", node, types.StrategicMergePatchType, status, "status")
	return err
}

func (h *harbour) agent(ctx context.Context, p *corev1.Pod, i int) {
	door := client.Of(h.c, client.Pods)
	zero := int64(0)
	switch {
	case p.DeletionTimestamp != nil:
		if err := door.Delete(ctx, p.Namespace, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			h.Errorf("agent: %v", err)
		}
	case p.Spec.Containers[0].Image == "hangs": // for ever on its way
	case p.Status.Phase == corev1.PodPending:
		ip := fmt.Sprintf("10.244.%d.%d", i/250, i%250+1)
		if code, ends := ending[p.Spec.Containers[0].Image]; ends {
			h.end(ctx, p, code)
			return
		}
		patch := fmt.Sprintf(`{"status":{"phase":"Running","podIP":%q,"podIPs":[{"ip":%q}],"conditions":[{"type":"Ready","status":"True","lastTransitionTime":%q}]}}`,
			ip, ip, time.Now().UTC().Format(time.RFC3339))
		if _, err := door.Patch(ctx, p.Namespace, p.Name, types.StrategicMergePatchType, []byte(patch), "status"); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			h.Errorf("agent: %v", err)
		}
	}
}

func (h *harbour) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// until polls with a deadline; what says what is missing.
func (h *harbour) until(what string, done func() (bool, string)) {
	h.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		ok, state := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			h.Fatalf("%s: not reached; %s", what, state)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func web(replicas int32, image string) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}}}
}

func (h *harbour) rolledOut(image string, n int32) func() (bool, string) {
	return func() (bool, string) {
		d, err := client.Of(h.c, client.Deployments).Get(h.Context(), "default", "web")
		h.must(err)
		st := d.Status
		ok := st.ObservedGeneration == d.Generation && st.UpdatedReplicas == n && st.Replicas == n && st.AvailableReplicas == n
		for _, p := range h.pods() {
			ok = ok && (p.DeletionTimestamp != nil || p.Spec.Containers[0].Image == image)
		}
		return ok, fmt.Sprintf("%+v", st)
	}
}

func (h *harbour) pods() []*corev1.Pod {
	list, _, err := client.Of(h.c, client.Pods).List(h.Context(), "default", metav1.ListOptions{LabelSelector: "app=web"})
	h.must(err)
	return list
}

func TestDeploymentFromCreateToCollection(t *testing.T) {
	h := open(t)
	ctx, door := t.Context(), client.Of(h.c, client.Deployments)
	_, err := door.Create(ctx, web(3, "a"))
	h.must(err)
	h.until("three pods run", h.rolledOut("a", 3))

	_, err = door.Patch(ctx, "default", "web", types.MergePatchType, []byte(`{"spec":{"replicas":5}}`))
	h.must(err)
	h.until("five pods run", h.rolledOut("a", 5))

	_, err = door.Patch(ctx, "default", "web", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"b"}]}}}}`))
	h.must(err)
	h.until("the new image is rolled out", h.rolledOut("b", 5))
	d, err := door.Get(ctx, "default", "web")
	h.must(err)
	if r := d.Annotations["deployment.kubernetes.io/revision"]; r != "2" {
		t.Errorf("revision %q, want 2", r)
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason != "NewReplicaSetAvailable" {
			t.Errorf("Progressing: %s: %s", c.Reason, c.Message)
		}
	}

	_, err = door.Patch(ctx, "default", "web", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"a"}]}}}}`))
	h.must(err)
	h.until("the old image is back", h.rolledOut("a", 5))
	sets, _, err := client.Of(h.c, client.ReplicaSets).List(ctx, "default", metav1.ListOptions{})
	h.must(err)
	if len(sets) != 2 {
		t.Errorf("%d ReplicaSets, want the two of the two templates", len(sets))
	}

	h.must(door.Delete(ctx, "default", "web", metav1.DeleteOptions{}))
	h.until("everything owned is collected", func() (bool, string) {
		sets, _, err := client.Of(h.c, client.ReplicaSets).List(ctx, "default", metav1.ListOptions{})
		h.must(err)
		return len(sets) == 0 && len(h.pods()) == 0, fmt.Sprintf("%d sets, %d pods", len(sets), len(h.pods()))
	})
}

func TestEndpointsFollowPods(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	_, err := client.Of(h.c, client.Deployments).Create(ctx, web(2, "a"))
	h.must(err)
	_, err = client.Of(h.c, client.Services).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}}})
	h.must(err)
	count := func(n int) func() (bool, string) {
		return func() (bool, string) {
			slices, _, err := client.Of(h.c, client.EndpointSlices).List(ctx, "default", metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=web"})
			h.must(err)
			ready := 0
			for _, s := range slices {
				for _, ep := range s.Endpoints {
					if *ep.Conditions.Ready && len(s.Ports) == 1 && *s.Ports[0].Port == 8080 {
						ready++
					}
				}
			}
			old, err := client.Of(h.c, client.Endpoints).Get(ctx, "default", "web")
			if err != nil {
				return false, err.Error()
			}
			addresses := 0
			for _, s := range old.Subsets {
				addresses += len(s.Addresses)
			}
			return ready == n && addresses == n && len(slices) == 1, fmt.Sprintf("%d ready in %d slices, %d addresses", ready, len(slices), addresses)
		}
	}
	h.until("two endpoints", count(2))
	_, err = client.Of(h.c, client.Deployments).Patch(ctx, "default", "web", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))
	h.must(err)
	h.until("no endpoints", count(0))
	h.must(client.Of(h.c, client.Services).Delete(ctx, "default", "web", metav1.DeleteOptions{}))
	h.until("slices and endpoints are gone", func() (bool, string) {
		slices, _, err := client.Of(h.c, client.EndpointSlices).List(ctx, "default", metav1.ListOptions{})
		h.must(err)
		_, err = client.Of(h.c, client.Endpoints).Get(ctx, "default", "web")
		return len(slices) == 0 && apierrors.IsNotFound(err), fmt.Sprint(len(slices), err)
	})
}

func TestNamespaceIsEmptiedAndGoes(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	_, err := client.Of(h.c, client.Namespaces).Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}})
	h.must(err)
	h.until("the account and the certificate are there", func() (bool, string) {
		_, err1 := client.Of(h.c, client.ServiceAccounts).Get(ctx, "team", "default")
		_, err2 := client.Of(h.c, client.ConfigMaps).Get(ctx, "team", "kube-root-ca.crt")
		return err1 == nil && err2 == nil, fmt.Sprint(err1, err2)
	})
	d := web(2, "a")
	d.Namespace = "team"
	_, err = client.Of(h.c, client.Deployments).Create(ctx, d)
	h.must(err)
	h.must(client.Of(h.c, client.Namespaces).Delete(ctx, "", "team", metav1.DeleteOptions{}))
	h.until("the namespace is gone", func() (bool, string) {
		ns, err := client.Of(h.c, client.Namespaces).Get(ctx, "", "team")
		return apierrors.IsNotFound(err), fmt.Sprintf("%+v %v", ns, err)
	})
}

// A pod that is held by a finalizer holds the rest of the namespace, and the conditions say so.
func TestNamespaceLetsItsPodsGoFirst(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	_, err := client.Of(h.c, client.Namespaces).Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}})
	h.must(err)
	_, err = client.Of(h.c, client.ConfigMaps).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "settings"}})
	h.must(err)
	_, err = client.Of(h.c, client.Pods).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "held", Finalizers: []string{"example.com/hold"}},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "c", Image: "a"}}}})
	h.must(err)
	h.must(client.Of(h.c, client.Namespaces).Delete(ctx, "", "team", metav1.DeleteOptions{}))
	remains := func() (said bool, ns *corev1.Namespace) {
		ns, err := client.Of(h.c, client.Namespaces).Get(ctx, "", "team")
		h.must(err)
		for _, c := range ns.Status.Conditions {
			said = said || c.Type == corev1.NamespaceFinalizersRemaining && c.Status == corev1.ConditionTrue
		}
		return said, ns
	}
	h.until("the conditions tell of the pod", func() (bool, string) {
		said, ns := remains()
		return said, fmt.Sprintf("%+v", ns.Status)
	})
	if _, err = client.Of(h.c, client.ConfigMaps).Get(ctx, "team", "settings"); err != nil {
		t.Errorf("while a pod is there: %v", err)
	}
	_, err = client.Of(h.c, client.Pods).Patch(ctx, "team", "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	h.must(err)
	h.until("the namespace is gone", func() (bool, string) {
		ns, err := client.Of(h.c, client.Namespaces).Get(ctx, "", "team")
		return apierrors.IsNotFound(err), fmt.Sprintf("%+v %v", ns, err)
	})
}

func TestForegroundAndOrphan(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	for _, p := range []metav1.DeletionPropagation{metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		_, err := client.Of(h.c, client.Deployments).Create(ctx, web(1, "a"))
		h.must(err)
		h.until("a pod runs", h.rolledOut("a", 1))
		h.must(client.Of(h.c, client.Deployments).Delete(ctx, "default", "web", metav1.DeleteOptions{PropagationPolicy: &p}))
		h.until("the deployment is gone", func() (bool, string) {
			d, err := client.Of(h.c, client.Deployments).Get(ctx, "default", "web")
			return apierrors.IsNotFound(err), fmt.Sprintf("%v", d)
		})
		sets, _, err := client.Of(h.c, client.ReplicaSets).List(ctx, "default", metav1.ListOptions{})
		h.must(err)
		switch {
		case p == metav1.DeletePropagationForeground && len(sets) != 0:
			t.Errorf("foreground: %d ReplicaSets outlive their owner", len(sets))
		case p == metav1.DeletePropagationOrphan && (len(sets) != 1 || len(sets[0].OwnerReferences) != 0):
			t.Errorf("orphan: %d ReplicaSets left: %v", len(sets), sets)
		}
	}
}

func TestUnschedulablePodSaysWhy(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	_, err := client.Of(h.c, client.Pods).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "big"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "a", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("64")}}}}}})
	h.must(err)
	h.until("the condition says why", func() (bool, string) {
		p, err := client.Of(h.c, client.Pods).Get(ctx, "default", "big")
		h.must(err)
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && strings.HasPrefix(c.Message, "0/1 nodes are available: 1 Insufficient cpu.") {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", p.Status.Conditions)
	})
	n, err := client.Of(h.c, client.Nodes).Get(ctx, "", "n1")
	h.must(err)
	n.Status.Allocatable["cpu"] = resource.MustParse("100")
	_, err = client.Of(h.c, client.Nodes).UpdateStatus(ctx, n)
	h.must(err)
	h.until("it is placed once there is room", func() (bool, string) {
		p, err := client.Of(h.c, client.Pods).Get(ctx, "default", "big")
		h.must(err)
		return p.Spec.NodeName == "n1", fmt.Sprintf("%+v", p.Status)
	})
}
