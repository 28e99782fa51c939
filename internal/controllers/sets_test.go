package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/client"
)

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}
}

var selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}

func daemons(change func(*appsv1.DaemonSetSpec)) *appsv1.DaemonSet {
	ds := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "agent"}, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template("a")}}
	if change != nil {
		change(&ds.Spec)
	}
	return ds
}

// addNode makes another node whose pods the agent plays too.
func (h *harbour) addNode(ctx context.Context, name string) {
	h.Helper()
	_, err := client.Of(h.c, client.Nodes).Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kind": "other"}}})
	h.must(err)
	h.must(h.ready(ctx, name))
}

func (h *harbour) taint(ctx context.Context, node, taints string) {
	h.Helper()
	_, err := client.Of(h.c, client.Nodes).Patch(ctx, "", node, types.MergePatchType, []byte(`{"spec":{"taints":`+taints+`}}`))
	h.must(err)
}

// daemonsAre waits for a status and for the pods that fit it; each has its node's name.
func (h *harbour) daemonsAre(what string, want int32, image string) {
	h.Helper()
	h.until(what, func() (bool, string) {
		ds, err := client.Of(h.c, client.DaemonSets).Get(h.Context(), "default", "agent")
		h.must(err)
		st := ds.Status
		ok := st.ObservedGeneration == ds.Generation && st.DesiredNumberScheduled == want && st.NumberAvailable == want && st.UpdatedNumberScheduled == want &&
			st.NumberMisscheduled == 0 && st.NumberUnavailable == 0
		nodes := map[string]bool{}
		for _, p := range h.pods() {
			ok = ok && p.Spec.Containers[0].Image == image && !nodes[p.Spec.NodeName]
			nodes[p.Spec.NodeName] = true
		}
		return ok && len(nodes) == int(want), fmt.Sprintf("%+v, %v", st, nodes)
	})
}

func TestDaemonsFollowNodesAndRoll(t *testing.T) {
	for name, strategy := range map[string]func(*appsv1.DaemonSetSpec){
		"unavailable": nil,
		"surge": func(s *appsv1.DaemonSetSpec) {
			one, none := intstr.FromInt32(1), intstr.FromInt32(0)
			s.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: &one, MaxUnavailable: &none}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			ctx, door := t.Context(), client.Of(h.c, client.DaemonSets)
			_, err := door.Create(ctx, daemons(strategy))
			h.must(err)
			h.daemonsAre("one node, one pod", 1, "a")
			h.addNode(ctx, "n2")
			h.daemonsAre("a second node gets one", 2, "a")
			_, err = door.Patch(ctx, "default", "agent", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"b"}]}}}}`))
			h.must(err)
			h.daemonsAre("the new image is rolled out", 2, "b")
			h.taint(ctx, "n2", `[{"key":"gone","effect":"NoExecute"}]`)
			h.daemonsAre("a taint drives one away", 1, "b")
			h.taint(ctx, "n2", `[]`)
			h.daemonsAre("and it comes back", 2, "b")
			revisions, _, err := client.Of(h.c, client.ControllerRevisions).List(ctx, "default", metav1.ListOptions{})
			h.must(err)
			if len(revisions) != 2 {
				t.Errorf("%d revisions, want one a template", len(revisions))
			}
			h.must(door.Delete(ctx, "default", "agent", metav1.DeleteOptions{}))
			h.until("pods and history are collected", func() (bool, string) {
				revisions, _, err := client.Of(h.c, client.ControllerRevisions).List(ctx, "default", metav1.ListOptions{})
				h.must(err)
				return len(h.pods()) == 0 && len(revisions) == 0, fmt.Sprint(len(h.pods()), len(revisions))
			})
		})
	}
}

func TestDaemonsObeySelectorAndDeletion(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	h.addNode(ctx, "n2")
	_, err := client.Of(h.c, client.DaemonSets).Create(ctx, daemons(func(s *appsv1.DaemonSetSpec) {
		s.Template.Spec.NodeSelector = map[string]string{"kind": "other"}
		s.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType
	}))
	h.must(err)
	h.daemonsAre("only the chosen node", 1, "a")
	_, err = client.Of(h.c, client.DaemonSets).Patch(ctx, "default", "agent", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"b"}]}}}}`))
	h.must(err)
	h.until("the change is seen and waits", func() (bool, string) {
		ds, err := client.Of(h.c, client.DaemonSets).Get(ctx, "default", "agent")
		h.must(err)
		return ds.Status.ObservedGeneration == ds.Generation && ds.Status.UpdatedNumberScheduled == 0 && ds.Status.NumberAvailable == 1, fmt.Sprintf("%+v", ds.Status)
	})
	p := h.pods()[0]
	h.must(client.Of(h.c, client.Pods).Delete(ctx, p.Namespace, p.Name, metav1.DeleteOptions{}))
	h.daemonsAre("whoever is deleted comes back new", 1, "b")
}

func numbered(replicas int32, change func(*appsv1.StatefulSetSpec)) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db"},
		Spec: appsv1.StatefulSetSpec{Replicas: &replicas, Selector: selector, ServiceName: "db", Template: template("a")}}
	if change != nil {
		change(&set.Spec)
	}
	return set
}

// setIs waits until the pods are these, "db-0=a", and the status says so.
func (h *harbour) setIs(what string, want ...string) {
	h.Helper()
	h.until(what, func() (bool, string) {
		set, err := client.Of(h.c, client.StatefulSets).Get(h.Context(), "default", "db")
		h.must(err)
		var got []string
		for _, p := range h.pods() {
			got = append(got, p.Name+"="+p.Spec.Containers[0].Image)
		}
		slices.Sort(got)
		st, n := set.Status, int32(len(want))
		return slices.Equal(got, want) && st.ObservedGeneration == set.Generation && st.Replicas == n && st.ReadyReplicas == n && st.AvailableReplicas == n, fmt.Sprintf("%v %+v", got, st)
	})
}

func TestStatefulSetScalesAndRollsInOrder(t *testing.T) {
	for name, policy := range map[string]appsv1.PodManagementPolicyType{"ordered": appsv1.OrderedReadyPodManagement, "parallel": appsv1.ParallelPodManagement} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			ctx, door := t.Context(), client.Of(h.c, client.StatefulSets)
			_, err := door.Create(ctx, numbered(3, func(s *appsv1.StatefulSetSpec) { s.PodManagementPolicy = policy }))
			h.must(err)
			h.setIs("three pods", "db-0=a", "db-1=a", "db-2=a")
			if policy == appsv1.OrderedReadyPodManagement {
				list := h.pods()
				slices.SortFunc(list, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
				for i, p := range list[1:] {
					if before := list[i].ResourceVersion; p.Labels[appsv1.PodIndexLabel] != fmt.Sprint(i+1) || p.Spec.Hostname != p.Name || p.Spec.Subdomain != "db" || before == "" {
						t.Errorf("identity of %s: %v, %s.%s", p.Name, p.Labels, p.Spec.Hostname, p.Spec.Subdomain)
					}
				}
			}
			patch := func(text string) {
				_, err := door.Patch(ctx, "default", "db", types.StrategicMergePatchType, []byte(text))
				h.must(err)
			}
			patch(`{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}},"template":{"spec":{"containers":[{"name":"c","image":"b"}]}}}}`)
			h.setIs("only from the partition on", "db-0=a", "db-1=a", "db-2=b")
			h.must(client.Of(h.c, client.Pods).Delete(ctx, "default", "db-0", metav1.DeleteOptions{}))
			h.until("whoever is deleted below it is made anew of the old template", func() (bool, string) {
				set, err := door.Get(ctx, "default", "db")
				h.must(err)
				p, err := client.Of(h.c, client.Pods).Get(ctx, "default", "db-0")
				if err != nil || p.DeletionTimestamp != nil {
					return false, fmt.Sprint(err)
				}
				return p.Spec.Containers[0].Image == "a" && p.Labels[appsv1.StatefulSetRevisionLabel] == set.Status.CurrentRevision &&
					set.Status.CurrentReplicas == 2 && set.Status.UpdatedReplicas == 1, fmt.Sprintf("%+v", set.Status)
			})
			patch(`{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`)
			h.setIs("all", "db-0=b", "db-1=b", "db-2=b")
			h.until("the rollout is over", func() (bool, string) {
				set, err := door.Get(ctx, "default", "db")
				h.must(err)
				return set.Status.CurrentRevision == set.Status.UpdateRevision && set.Status.CurrentReplicas == 3, fmt.Sprintf("%+v", set.Status)
			})
			patch(`{"spec":{"replicas":1}}`)
			h.setIs("the lowest stays", "db-0=b")
			h.must(door.Delete(ctx, "default", "db", metav1.DeleteOptions{}))
			h.until("its pods are collected", func() (bool, string) { n := len(h.pods()); return n == 0, fmt.Sprint(n) })
		})
	}
}

func TestStatefulSetWaitsForEachPod(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	set := numbered(3, nil)
	set.Spec.Template.Spec.Containers[0].Image = "hangs"
	_, err := client.Of(h.c, client.StatefulSets).Create(ctx, set)
	h.must(err)
	h.until("the first is made", func() (bool, string) { return len(h.pods()) == 1, "" })
	h.until("the status is written", func() (bool, string) {
		got, err := client.Of(h.c, client.StatefulSets).Get(ctx, "default", "db")
		h.must(err)
		return got.Status.Replicas == 1 && got.Status.ReadyReplicas == 0, fmt.Sprintf("%+v", got.Status)
	})
	if list := h.pods(); len(list) != 1 || list[0].Name != "db-0" {
		t.Errorf("%d pods though the first is not ready", len(list))
	}
}

func TestStatefulSetKeepsAndTakesClaims(t *testing.T) {
	h := open(t)
	ctx, claims := t.Context(), client.Of(h.c, client.PersistentVolumeClaims)
	_, err := client.Of(h.c, client.StatefulSets).Create(ctx, numbered(2, func(s *appsv1.StatefulSetSpec) {
		s.PodManagementPolicy = appsv1.ParallelPodManagement
		s.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5}
		s.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
			WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
		s.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}}}}}
	}))
	h.must(err)
	h.until("each pod has its claim", func() (bool, string) {
		for _, n := range []string{"5", "6"} {
			p, err := client.Of(h.c, client.Pods).Get(ctx, "default", "db-"+n)
			if err != nil {
				return false, err.Error()
			}
			c, err := claims.Get(ctx, "default", "data-db-"+n)
			if err != nil || len(c.OwnerReferences) != 1 || c.OwnerReferences[0].Kind != "StatefulSet" || p.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != c.Name {
				return false, fmt.Sprint(err, c)
			}
		}
		return true, ""
	})
	_, err = client.Of(h.c, client.StatefulSets).Patch(ctx, "default", "db", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`))
	h.must(err)
	h.until("the claim of the pod that is scaled away goes with it", func() (bool, string) {
		_, err1 := claims.Get(ctx, "default", "data-db-6")
		_, err2 := claims.Get(ctx, "default", "data-db-5")
		return apierrors.IsNotFound(err1) && err2 == nil, fmt.Sprint(err1, err2)
	})
}
