package admission

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/apiserver/admission/admissiontest"
)

type world = admissiontest.World

func named(ns, name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }

// plain has a namespace "a" with its default account.
func plain() world {
	return world{
		namespaces:      {&corev1.Namespace{ObjectMeta: named("", "a"), Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}},
		serviceAccounts: {&corev1.ServiceAccount{ObjectMeta: named("a", "default")}},
	}
}

// deny allows nothing but the listed "verb name".
type deny []string

func (d deny) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	for _, s := range d {
		if s == a.GetVerb()+" "+a.GetName() {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func chain(w world) *Chain {
	return New(Config{Objects: w, Authorizer: deny{"approve example.com/*", "sign example.com/x"}, Suffix: func(n int) string { return strings.Repeat("x", n) },
		WriteQuotaStatus: func(_ context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
			w[quotas] = []runtime.Object{q}
			return q, nil
		}})
}

var jane = &user.DefaultInfo{Name: "jane", Groups: []string{user.AllAuthenticated}}

// create and update describe writes of obj.
func create(gr schema.GroupResource, obj runtime.Object) *Attributes {
	a := &Attributes{User: jane, Operation: Create, Resource: gr.WithVersion("v1"), Object: obj}
	if m, ok := obj.(metav1.Object); ok {
		a.Namespace, a.Name = m.GetNamespace(), m.GetName()
	}
	return a
}

func update(gr schema.GroupResource, sub string, obj, old runtime.Object) *Attributes {
	a := create(gr, obj)
	a.Operation, a.OldObject, a.Subresource = Update, old, sub
	return a
}

// run sends a through the whole chain.
func run(w world, a *Attributes) error {
	c := chain(w)
	if err := c.Admit(context.Background(), a); err != nil {
		return err
	}
	return c.Validate(context.Background(), a)
}

// expect checks the error: "" for none, else its reason and a part of its text.
func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: error %v, want %q", what, err, want)
	case want != "" && apierrors.ReasonForError(err) == metav1.StatusReasonUnknown:
		t.Errorf("%s: %v is no API status", what, err)
	}
}

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: named("a", "p"), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	for _, f := range change {
		f(p)
	}
	return p
}

func TestNamespaceLifecycle(t *testing.T) {
	going := plain().With(namespaces, &corev1.Namespace{ObjectMeta: named("", "going"), Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}})
	gr := corev1.Resource("configmaps")
	cm := func(ns string) *corev1.ConfigMap { return &corev1.ConfigMap{ObjectMeta: named(ns, "x")} }
	expect(t, "there", run(going, create(gr, cm("a"))), "")
	expect(t, "missing", run(going, create(gr, cm("none"))), `namespaces "none" not found`)
	err := run(going, create(gr, cm("going")))
	expect(t, "going", err, `configmaps "x" is forbidden: unable to create new content in namespace going because it is being terminated`)
	if !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		t.Error("no cause")
	}
	expect(t, "update while going", run(going, update(gr, "", cm("going"), cm("going"))), "")
	for name, want := range map[string]string{"default": "this namespace may not be deleted", "kube-system": "this namespace may not be deleted",
		"kube-public": "this namespace may not be deleted", "a": "", "kube-node-lease": ""} {
		expect(t, "delete "+name, run(going, &Attributes{User: jane, Operation: Delete, Resource: namespaces.WithVersion("v1"), Name: name, Namespace: name}), want)
	}
}

func TestServiceAccount(t *testing.T) {
	no := false
	w := plain().With(serviceAccounts, &corev1.ServiceAccount{ObjectMeta: named("a", "quiet"), AutomountServiceAccountToken: &no,
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "strict", Annotations: map[string]string{enforceMountable: "true"}},
			Secrets: []corev1.ObjectReference{{Name: "ok"}}})
	p := pod(func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "i"}} })
	expect(t, "default", run(w, create(pods, p)), "")
	if p.Spec.ServiceAccountName != "default" || p.Spec.DeprecatedServiceAccount != "default" {
		t.Errorf("account %q", p.Spec.ServiceAccountName)
	}
	v := p.Spec.Volumes[0]
	if v.Name != "kube-api-access-xxxxx" || *v.Projected.Sources[0].ServiceAccountToken.ExpirationSeconds != 3607 || v.Projected.Sources[1].ConfigMap.Name != "kube-root-ca.crt" ||
		v.Projected.Sources[2].DownwardAPI.Items[0].FieldRef.FieldPath != "metadata.namespace" || *v.Projected.DefaultMode != 0o644 {
		t.Errorf("%+v", v.Projected)
	}
	for _, c := range append(p.Spec.Containers, p.Spec.InitContainers...) {
		if len(c.VolumeMounts) != 1 || c.VolumeMounts[0].MountPath != tokenMountPath || !c.VolumeMounts[0].ReadOnly {
			t.Errorf("%s: %+v", c.Name, c.VolumeMounts)
		}
	}
	own := pod(func(p *corev1.Pod) {
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{MountPath: tokenMountPath}}
	})
	expect(t, "own mount", run(w, create(pods, own)), "")
	if len(own.Spec.Volumes) != 0 {
		t.Error("a volume nobody mounts")
	}
	quiet := pod(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "quiet" })
	expect(t, "quiet", run(w, create(pods, quiet)), "")
	if len(quiet.Spec.Volumes) != 0 || quiet.Spec.ImagePullSecrets[0].Name != "pull" {
		t.Errorf("%+v", quiet.Spec)
	}
	expect(t, "missing", run(w, create(pods, pod(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "none" }))),
		`pods "p" is forbidden: error looking up service account a/none: serviceaccount "none" not found`)
	secret := func(name string) *corev1.Pod {
		return pod(func(p *corev1.Pod) {
			p.Spec.ServiceAccountName = "strict"
			p.Spec.Volumes = []corev1.Volume{{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}}
		})
	}
	expect(t, "mountable", run(w, create(pods, secret("ok"))), "")
	expect(t, "not mountable", run(w, create(pods, secret("other"))), `volume with secret.secretName="other" is not allowed`)
	mirror := pod(func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		p.Spec.ServiceAccountName = "default"
	})
	expect(t, "mirror", run(w, create(pods, mirror)), "a mirror pod may not reference service accounts")
}

func TestTolerationsAndTaints(t *testing.T) {
	p := pod()
	expect(t, "pod", run(plain(), create(pods, p)), "")
	if got := fmt.Sprint(len(p.Spec.Tolerations), *p.Spec.Tolerations[0].TolerationSeconds); got != "2 300" {
		t.Error(got)
	}
	any := pod(func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} })
	expect(t, "any", run(plain(), create(pods, any)), "")
	if len(any.Spec.Tolerations) != 1 {
		t.Error(any.Spec.Tolerations)
	}
	n := &corev1.Node{ObjectMeta: named("", "n")}
	expect(t, "node", run(plain(), create(nodes, n)), "")
	if len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Key != corev1.TaintNodeNotReady {
		t.Error(n.Spec.Taints)
	}
}

func TestPodTopologyLabels(t *testing.T) {
	w := plain().With(nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{corev1.LabelTopologyZone: "z", "x": "y"}}})
	b := &corev1.Binding{ObjectMeta: named("a", "p"), Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}
	a := create(pods, b)
	a.Subresource = "binding"
	expect(t, "binding", run(w, a), "")
	if len(b.Labels) != 1 || b.Labels[corev1.LabelTopologyZone] != "z" {
		t.Error(b.Labels)
	}
}
