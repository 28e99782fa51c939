package bootstrap

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"

	"minato.dev/minato/internal/api"
)

type key struct {
	gr       schema.GroupResource
	ns, name string
}

// shelf is a Store in memory.
type shelf struct {
	mu      sync.Mutex
	objects map[key]runtime.Object
	fail    func(key) error // of Create and Update
}

func newShelf() *shelf { return &shelf{objects: map[key]runtime.Object{}} }

func (s *shelf) Get(_ context.Context, gr schema.GroupResource, ns, name string) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.objects[key{gr, ns, name}]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(gr, name)
}

func (s *shelf) put(gr schema.GroupResource, obj runtime.Object, create bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := obj.(metav1.Object)
	k := key{gr, m.GetNamespace(), m.GetName()}
	if s.fail != nil {
		if err := s.fail(k); err != nil {
			return err
		}
	}
	if _, ok := s.objects[k]; ok && create {
		return apierrors.NewAlreadyExists(gr, k.name)
	}
	s.objects[k] = obj
	return nil
}

func (s *shelf) Create(_ context.Context, gr schema.GroupResource, obj runtime.Object) error {
	return s.put(gr, obj, true)
}

func (s *shelf) Update(_ context.Context, gr schema.GroupResource, obj runtime.Object) error {
	return s.put(gr, obj, false)
}

var config = Config{AdvertiseIP: net.IPv4(192, 0, 2, 1), AdvertisePort: 6443, ServiceIP: net.IPv4(10, 96, 0, 1), ServiceCIDRs: []string{"10.96.0.0/12"},
	ClientCAPEM: []byte("ca"), FrontProxyPEM: []byte("front"), FrontProxyName: "front-proxy-client", Now: time.Unix(1e9, 0)}

func ensure(t *testing.T, s Store) Result {
	t.Helper()
	r, err := Ensure(context.Background(), s, config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFirstStartThenNothing(t *testing.T) {
	s := newShelf()
	first := ensure(t, s)
	if first.Created != len(s.objects) || first.Created < 140 || first.Updated+first.Unchanged > 0 {
		t.Errorf("first start: %+v", first)
	}
	if again := ensure(t, s); again.Created+again.Updated > 0 || again.Unchanged != first.Created || len(again.Problems) > 0 {
		t.Errorf("second start: %+v", again)
	}
	for _, k := range []key{
		{corev1.Resource("namespaces"), "", "kube-node-lease"}, {corev1.Resource("services"), "default", "kubernetes"},
		{schema.GroupResource{Group: "scheduling.k8s.io", Resource: "priorityclasses"}, "", "system-node-critical"},
		{schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"}, "default", "kubernetes"},
		{rbacv1.Resource("clusterroles"), "", "system:controller:deployment-controller"},
		{flowcontrolv1.Resource("flowschemas"), "", "catch-all"},
		{corev1.Resource("configmaps"), "kube-system", "extension-apiserver-authentication"},
	} {
		if s.objects[k] == nil {
			t.Errorf("%v is missing", k)
		}
	}
}

// TestObjectsAreComplete: defaulting what is stored must change nothing.
func TestObjectsAreComplete(t *testing.T) {
	s := newShelf()
	ensure(t, s)
	for k, o := range s.objects {
		c := o.DeepCopyObject()
		api.Default(c)
		if !equality.Semantic.DeepEqual(o, c) {
			t.Errorf("%v: %s", k, cmp.Diff(o, c))
		}
	}
}

func TestPolicyIsUpstreams(t *testing.T) {
	p, err := DefaultPolicy()
	if err != nil {
		t.Fatal(err)
	}
	want := append(bootstrappolicy.ClusterRoles(), bootstrappolicy.ControllerRoles()...)
	if !equality.Semantic.DeepEqual(want, p.ClusterRoles.Items) {
		t.Errorf("cluster roles, run go generate: %s", cmp.Diff(want, p.ClusterRoles.Items))
	}
	bindings := append(bootstrappolicy.ClusterRoleBindings(), bootstrappolicy.ControllerRoleBindings()...)
	if !equality.Semantic.DeepEqual(bindings, p.ClusterRoleBindings.Items) {
		t.Errorf("cluster role bindings, run go generate: %s", cmp.Diff(bindings, p.ClusterRoleBindings.Items))
	}
	for _, r := range p.Roles.Items {
		if !slices.ContainsFunc(bootstrappolicy.NamespaceRoles()[r.Namespace], func(u rbacv1.Role) bool {
			return u.Name == r.Name && equality.Semantic.DeepEqual(u.Rules, r.Rules)
		}) {
			t.Errorf("role %s/%s is not upstream's, run go generate", r.Namespace, r.Name)
		}
	}
	for _, b := range p.RoleBindings.Items {
		if !slices.ContainsFunc(bootstrappolicy.NamespaceRoleBindings()[b.Namespace], func(u rbacv1.RoleBinding) bool {
			return u.Name == b.Name && equality.Semantic.DeepEqual(u.Subjects, b.Subjects) && u.RoleRef == b.RoleRef
		}) {
			t.Errorf("role binding %s/%s is not upstream's, run go generate", b.Namespace, b.Name)
		}
	}
	count := 0
	for _, l := range bootstrappolicy.NamespaceRoles() {
		count += len(l)
	}
	for _, l := range bootstrappolicy.NamespaceRoleBindings() {
		count += len(l)
	}
	if got := len(p.Roles.Items) + len(p.RoleBindings.Items); got != count {
		t.Errorf("%d namespaced objects, upstream has %d", got, count)
	}
}

func TestDriftIsMended(t *testing.T) {
	role := func(s *shelf) *rbacv1.ClusterRole {
		return s.objects[key{rbacv1.Resource("clusterroles"), "", "system:kube-scheduler"}].(*rbacv1.ClusterRole)
	}
	extra := rbacv1.PolicyRule{APIGroups: []string{"example.com"}, Resources: []string{"x"}, Verbs: []string{"get"}}
	for _, c := range []struct {
		what     string
		change   func(s *shelf)
		updated  int
		problems int
		check    func(s *shelf) bool
	}{
		{"rule removed", func(s *shelf) { role(s).Rules = role(s).Rules[1:] }, 1, 0, nil},
		{"rule added stays", func(s *shelf) { role(s).Rules = append(role(s).Rules, extra) }, 0, 0, func(s *shelf) bool {
			return slices.ContainsFunc(role(s).Rules, func(r rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(r, extra) })
		}},
		{"protected", func(s *shelf) { role(s).Rules = nil; role(s).Annotations[rbacv1.AutoUpdateAnnotationKey] = "false" }, 0, 0,
			func(s *shelf) bool { return role(s).Rules == nil }},
		{"label removed", func(s *shelf) { role(s).Labels = nil }, 1, 0, func(s *shelf) bool { return role(s).Labels["kubernetes.io/bootstrapping"] != "" }},
		{"subject removed", func(s *shelf) {
			s.objects[key{rbacv1.Resource("clusterrolebindings"), "", "cluster-admin"}].(*rbacv1.ClusterRoleBinding).Subjects = nil
		}, 1, 0, nil},
		{"other role", func(s *shelf) {
			s.objects[key{rbacv1.Resource("clusterrolebindings"), "", "cluster-admin"}].(*rbacv1.ClusterRoleBinding).RoleRef.Name = "view"
		}, 0, 1, nil},
		{"endpoints moved", func(s *shelf) {
			s.objects[key{corev1.Resource("endpoints"), "default", "kubernetes"}].(*corev1.Endpoints).Subsets[0].Addresses[0].IP = "192.0.2.9"
		}, 1, 0, nil},
		{"mandatory flow schema", func(s *shelf) {
			s.objects[key{flowcontrolv1.Resource("flowschemas"), "", "catch-all"}].(*flowcontrolv1.FlowSchema).Spec.MatchingPrecedence = 1
		}, 1, 0, nil},
		{"suggested flow schema kept by annotation", func(s *shelf) {
			f := s.objects[key{flowcontrolv1.Resource("flowschemas"), "", "probes"}].(*flowcontrolv1.FlowSchema)
			f.Spec.MatchingPrecedence, f.Annotations = 1, map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "false"}
		}, 0, 0, nil},
		{"authority changed", func(s *shelf) {
			s.objects[key{corev1.Resource("configmaps"), "kube-system", "extension-apiserver-authentication"}].(*corev1.ConfigMap).Data["client-ca-file"] = "old"
		}, 1, 0, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newShelf()
			ensure(t, s)
			c.change(s)
			r := ensure(t, s)
			if r.Updated != c.updated || len(r.Problems) != c.problems {
				t.Errorf("%+v", r)
			}
			if c.check != nil && !c.check(s) {
				t.Error("not as it should be")
			}
			if again := ensure(t, s); again.Updated > 0 {
				t.Errorf("does not settle: %+v", again)
			}
		})
	}
}

func TestRaceWithAnotherServer(t *testing.T) {
	s, other := newShelf(), newShelf()
	ensure(t, other)
	var once sync.Once
	s.fail = func(k key) (err error) {
		once.Do(func() { s.objects[k] = other.objects[k]; err = apierrors.NewAlreadyExists(k.gr, k.name) })
		return err
	}
	if r := ensure(t, s); r.Unchanged != 1 {
		t.Errorf("%+v", r)
	}
}

func TestStoreFails(t *testing.T) {
	s := newShelf()
	s.fail = func(key) error { return errors.New("disk full") }
	if _, err := Ensure(context.Background(), s, config); err == nil {
		t.Error("no error")
	}
}

func TestAggregate(t *testing.T) {
	rule := func(r string) rbacv1.PolicyRule { return rbacv1.PolicyRule{Resources: []string{r}} }
	pick := func(label string) *rbacv1.AggregationRule {
		return &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{label: "true"}}}}
	}
	role := func(name, label string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{label: "true"}}, Rules: rules}
	}
	target := role("t", "x", rule("own"))
	target.AggregationRule = pick("x")
	all := []*rbacv1.ClusterRole{role("c", "x", rule("2")), target, role("a", "x", rule("1"), rule("2")), role("d", "y", rule("3"))}
	rules, changed, err := Aggregate(target, all)
	if want := []rbacv1.PolicyRule{rule("1"), rule("2")}; err != nil || !changed || !equality.Semantic.DeepEqual(rules, want) {
		t.Errorf("%v %v %v", rules, changed, err)
	}
	target.Rules = rules
	if _, changed, _ = Aggregate(target, all); changed {
		t.Error("does not settle")
	}
}

func TestAggregatedRolesGrantAtOnce(t *testing.T) {
	s := newShelf()
	ensure(t, s)
	counts := map[string]int{}
	for _, n := range []string{"view", "edit", "admin"} {
		counts[n] = len(s.objects[key{rbacv1.Resource("clusterroles"), "", n}].(*rbacv1.ClusterRole).Rules)
	}
	if counts["view"] == 0 || counts["edit"] <= counts["view"] || counts["admin"] <= counts["edit"] {
		t.Error(counts)
	}
}

func BenchmarkFirstStart(b *testing.B) {
	for b.Loop() {
		if _, err := Ensure(context.Background(), newShelf(), config); err != nil {
			b.Fatal(err)
		}
	}
}
