package authz

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

// bootstrapped returns an authorizer with upstream's default roles and bindings.
func bootstrapped() *Authorizer {
	a := New(Config{})
	for _, r := range append(bootstrappolicy.ClusterRoles(), bootstrappolicy.ControllerRoles()...) {
		a.Observe(nil, &r)
	}
	for _, b := range append(bootstrappolicy.ClusterRoleBindings(), bootstrappolicy.ControllerRoleBindings()...) {
		a.Observe(nil, &b)
	}
	for ns, roles := range bootstrappolicy.NamespaceRoles() {
		for _, r := range roles {
			r.Namespace = ns
			a.Observe(nil, &r)
		}
	}
	for ns, bindings := range bootstrappolicy.NamespaceRoleBindings() {
		for _, b := range bindings {
			b.Namespace = ns
			a.Observe(nil, &b)
		}
	}
	return a
}

func who(name string, groups ...string) user.Info {
	if name != user.Anonymous {
		groups = append(groups, user.AllAuthenticated)
	}
	return &user.DefaultInfo{Name: name, Groups: groups}
}

func account(ns, name string) user.Info {
	return who("system:serviceaccount:"+ns+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+ns)
}

func node(name string) user.Info { return who("system:node:"+name, user.NodesGroup) }

var anonymous = who(user.Anonymous, user.AllUnauthenticated)

// ask reads "verb resource.group/sub ns/name" or "verb /path".
func ask(u user.Info, s string) authorizer.AttributesRecord {
	f := strings.Fields(s)
	r := authorizer.AttributesRecord{User: u, Verb: f[0]}
	if strings.HasPrefix(f[1], "/") {
		r.Path = f[1]
		return r
	}
	r.ResourceRequest, r.APIVersion = true, "v1"
	res, sub, _ := strings.Cut(f[1], "/")
	r.Resource, r.APIGroup, _ = strings.Cut(res, ".")
	r.Subresource = sub
	for _, x := range f[2:] {
		if field, value, ok := strings.Cut(x, "="); ok {
			r.FieldSelectorRequirements = fields.Requirements{{Operator: selection.Equals, Field: field, Value: value}}
			continue
		}
		r.Namespace, r.Name, _ = strings.Cut(x, "/")
	}
	return r
}

func decide(t *testing.T, a *Authorizer, u user.Info, s string) (bool, string) {
	t.Helper()
	d, reason, err := a.Authorize(context.Background(), ask(u, s))
	if err != nil {
		t.Fatal(err)
	}
	return d == authorizer.DecisionAllow, reason
}

func TestDefaultUsers(t *testing.T) {
	a := bootstrapped()
	for _, c := range []struct {
		user user.Info
		ask  string
		ok   bool
	}{
		{anonymous, "get /healthz", true},
		{anonymous, "get /livez", true},
		{anonymous, "get /readyz", true},
		{anonymous, "get /healthz/etcd", false},
		{anonymous, "get /version", true},
		{anonymous, "get /metrics", false},
		{anonymous, "get /api", false},
		{anonymous, "list pods default", false},
		{anonymous, "create selfsubjectaccessreviews.authorization.k8s.io", false},
		{anonymous, "get configmaps kube-public/cluster-info", false},

		{who("jane"), "get /api", true},
		{who("jane"), "get /openapi/v3", true},
		{who("jane"), "get /apis/apps/v1", true},
		{who("jane"), "get /debug/pprof/", false},
		{who("jane"), "get /.well-known/openid-configuration", false},
		{account("default", "x"), "get /.well-known/openid-configuration", true},
		{account("default", "x"), "get /openid/v1/jwks", true},
		{who("jane"), "create selfsubjectaccessreviews.authorization.k8s.io", true},
		{who("jane"), "create selfsubjectreviews.authentication.k8s.io", true},
		{who("jane"), "list pods default", false},
		{account("default", "default"), "list pods default", false},

		{who("root", user.SystemPrivilegedGroup), "delete nodes /n1", true},
		{who("root", user.SystemPrivilegedGroup), "get /debug/pprof/", true},
		{who("kubernetes-admin", "kubeadm:cluster-admins"), "list pods default", false},
		{who("mon", "system:monitoring"), "get /metrics", true},

		{who("system:kube-controller-manager"), "create serviceaccounts/token kube-system/deployment-controller", true},
		{who("system:kube-controller-manager"), "get secrets kube-system/x", true},
		{who("system:kube-controller-manager"), "create clusterroles.rbac.authorization.k8s.io", false},
		{who("system:kube-scheduler"), "create pods/binding default/p", true},
		{who("system:kube-scheduler"), "list nodes", true},
		{who("system:kube-scheduler"), "delete pods default/p", true},
		{who("system:kube-scheduler"), "get secrets default/s", false},
		{who("system:kube-scheduler"), "get configmaps kube-system/extension-apiserver-authentication", true},
		{who("system:kube-proxy"), "watch endpointslices.discovery.k8s.io", true},
		{who("system:kube-proxy"), "update services default/s", false},

		{account("kube-system", "deployment-controller"), "create replicasets.apps default", true},
		{account("kube-system", "deployment-controller"), "delete pods default/p", false},
		{account("kube-system", "replicaset-controller"), "create pods default", true},
		{account("kube-system", "replicaset-controller"), "update deployments.apps default/d", false},
		{account("kube-system", "generic-garbage-collector"), "delete anything.example.com ns/x", true},
		{account("kube-system", "namespace-controller"), "deletecollection anything.example.com ns", true},
		{account("kube-system", "endpointslice-controller"), "create endpointslices.discovery.k8s.io default", true},
		{account("default", "deployment-controller"), "create replicasets.apps default", false},
	} {
		if ok, reason := decide(t, a, c.user, c.ask); ok != c.ok {
			t.Errorf("%s: %s: %v (%s)", c.user.GetName(), c.ask, ok, reason)
		}
	}
}

func TestNodes(t *testing.T) {
	a := bootstrapped()
	no := false
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p", UID: "1"}, Spec: corev1.PodSpec{NodeName: "n1", ServiceAccountName: "sa",
		AutomountServiceAccountToken: &no, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}},
		Containers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "env"}}}}}},
		Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "vol"}}},
			{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		}}}
	pending := pod.DeepCopy()
	pending.Spec.NodeName = ""
	a.Observe(nil, pending)
	if ok, _ := decide(t, a, node("n1"), "get secrets a/vol"); ok {
		t.Error("a pod without node gives rights")
	}
	a.Observe(pending, pod)
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: "a", Name: "claim"},
		PersistentVolumeSource: corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{SecretRef: &corev1.SecretReference{Namespace: "store", Name: "iscsi"}}}}}
	a.Observe(nil, pv)
	a.Observe(nil, &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "va"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "n1"}})
	for _, c := range []struct {
		ask    string
		n1, n2 bool
	}{
		{"get secrets a/vol", true, false},
		{"get secrets a/pull", true, false},
		{"watch secrets a/vol", true, false},
		{"list secrets a", false, false},
		{"update secrets a/vol", false, false},
		{"get secrets b/vol", false, false},
		{"get secrets store/iscsi", true, false},
		{"get configmaps a/env", true, false},
		{"get configmaps a/other", false, false},
		{"get persistentvolumeclaims a/claim", true, false},
		{"get persistentvolumeclaims a/p-scratch", true, false},
		{"patch persistentvolumeclaims/status a/claim", true, false},
		{"update persistentvolumeclaims a/claim", false, false},
		{"get persistentvolumes /pv", true, false},
		{"get volumeattachments.storage.k8s.io /va", true, false},
		{"create serviceaccounts/token a/sa", true, false},
		{"create serviceaccounts/token a/default", false, false},
		{"get serviceaccounts a/sa", true, false},
		{"get pods a/p", true, false},
		{"list pods", false, false},
		{"list pods spec.nodeName=n1", true, false},
		{"watch pods spec.nodeName=n2", false, true},
		{"patch pods/status a/p", true, true}, // admission looks closer
		{"delete pods a/p", true, true},
		{"create pods/eviction a/p", true, true},
		{"create pods/binding a/p", false, false},
		{"get nodes /n1", true, false},
		{"list nodes", false, false},
		{"create nodes", true, true},
		{"update nodes/status /n1", true, true},
		{"delete nodes /n1", false, false},
		{"update leases.coordination.k8s.io kube-node-lease/n1", true, false},
		{"create leases.coordination.k8s.io kube-node-lease", true, true},
		{"get leases.coordination.k8s.io kube-system/n1", false, false},
		{"get csinodes.storage.k8s.io /n1", true, false},
		{"watch services", true, true},
		{"list runtimeclasses.node.k8s.io", true, true},
		{"create tokenreviews.authentication.k8s.io", true, true},
		{"create certificatesigningrequests.certificates.k8s.io", true, true},
		{"list resourceslices.resource.k8s.io spec.nodeName=n1", true, false},
		{"get /api", true, true},
	} {
		for n, want := range map[string]bool{"n1": c.n1, "n2": c.n2} {
			if ok, reason := decide(t, a, node(n), c.ask); ok != want {
				t.Errorf("%s: %s: %v (%s)", n, c.ask, ok, reason)
			}
		}
	}
	a.Observe(pod, nil)
	for _, s := range []string{"get secrets a/vol", "get secrets store/iscsi", "get persistentvolumes /pv", "get pods a/p", "create serviceaccounts/token a/sa"} {
		if ok, _ := decide(t, a, node("n1"), s); ok {
			t.Errorf("%s after the pod is gone", s)
		}
	}
	if len(a.node.pods) != 0 || len(a.node.reaches) != 1 { // the attachment
		t.Errorf("left: %v %v", a.node.pods, a.node.reaches)
	}
}

func TestMirrorPodGivesNothing(t *testing.T) {
	a := New(Config{})
	a.Observe(nil, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}},
		Spec: corev1.PodSpec{NodeName: "n1", ServiceAccountName: "sa"}})
	if ok, _ := decide(t, a, node("n1"), "create serviceaccounts/token a/sa"); ok {
		t.Error("token for a mirror pod's account")
	}
	if ok, _ := decide(t, a, node("n1"), "get pods a/p"); !ok {
		t.Error("own mirror pod not readable")
	}
}

// TestBindingsChange follows one user through the life of its bindings.
func TestBindingsChange(t *testing.T) {
	a := New(Config{})
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r"}, Rules: []rbacv1.PolicyRule{rule("", "pods", "get")}}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "r"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "x"}, {Kind: "ServiceAccount", Name: "x"}}}
	u := account("a", "x")
	expect := func(step string, want bool, reason string) {
		t.Helper()
		ok, why := decide(t, a, u, "get pods a/p")
		if ok != want || why != reason {
			t.Errorf("%s: %v %q", step, ok, why)
		}
	}
	expect("nothing", false, "")
	a.Observe(nil, binding)
	expect("binding without role", false, `rbac: RBAC: role.rbac.authorization.k8s.io "r" not found`)
	a.Observe(nil, role)
	expect("role", true, `RBAC: allowed by RoleBinding "b/a" of Role "r" to ServiceAccount "x/a"`)
	less := role.DeepCopy()
	less.Rules = nil
	a.Observe(role, less)
	expect("empty role", false, "")
	a.Observe(less, role)
	other := binding.DeepCopy()
	other.Subjects = []rbacv1.Subject{{Kind: "User", Name: "jane"}}
	a.Observe(binding, other)
	expect("another subject", false, "")
	a.Observe(other, binding)
	expect("back", true, `RBAC: allowed by RoleBinding "b/a" of Role "r" to ServiceAccount "x/a"`)
	if ok, _ := decide(t, a, u, "get pods b/p"); ok {
		t.Error("right leaks into another namespace")
	}
	a.Observe(binding, nil)
	expect("unbound", false, "")
	if len(a.rbac.grants) != 0 {
		t.Errorf("left: %v", a.rbac.grants)
	}
}

func TestDenialWaitsForTheIndex(t *testing.T) {
	var a *Authorizer
	a = New(Config{CaughtUp: func(context.Context) error {
		a.Observe(nil, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Spec: corev1.PodSpec{NodeName: "n1"}})
		return nil
	}})
	if ok, reason := decide(t, a, node("n1"), "get pods a/p"); !ok {
		t.Error(reason)
	}
}

func TestEscalation(t *testing.T) {
	a := bootstrapped()
	grant := func(name, role string) user.Info {
		a.Observe(nil, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{Kind: "User", Name: name}}})
		return who(name)
	}
	a.Observe(nil, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "granter"}, Rules: []rbacv1.PolicyRule{
		rule("rbac.authorization.k8s.io", "clusterroles", "bind", "escalate")}})
	viewer, granter, masters := grant("viewer", "system:aggregate-to-view"), grant("granter", "granter"), who("root", user.SystemPrivilegedGroup)
	role := func(aggregate bool, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
		r := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Rules: rules}
		if aggregate {
			r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}
		}
		return r
	}
	for _, c := range []struct {
		what string
		user user.Info
		role *rbacv1.ClusterRole
		err  string
	}{
		{"held", viewer, role(false, rule("", "pods", "get", "list")), ""},
		{"not held", viewer, role(false, rule("", "pods secrets", "get", "delete")), "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"delete\" \"get\"]}"},
		{"escalate", granter, role(false, rule("", "secrets", "get")), ""},
		{"masters", masters, role(true, rule("*", "*", "*")), ""},
		{"aggregation", viewer, role(true), "must have cluster-admin privileges to use the aggregationRule"},
	} {
		err := a.ConfirmNoEscalation(context.Background(), c.user, c.role)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for _, c := range []struct {
		user user.Info
		role string
		ok   bool
	}{{viewer, "system:aggregate-to-view", true}, {viewer, "system:aggregate-to-edit", false}, {granter, "system:aggregate-to-edit", true}, {masters, "cluster-admin", true}, {viewer, "none", false}} {
		err := a.ConfirmBind(context.Background(), c.user, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: c.role}})
		if (err == nil) != c.ok {
			t.Errorf("%s binds %s: %v", c.user.GetName(), c.role, err)
		}
	}
}

func TestRulesFor(t *testing.T) {
	a := bootstrapped()
	res, paths, incomplete, err := a.RulesFor(context.Background(), who("jane"), "default")
	if err != nil || incomplete || len(res) == 0 || len(paths) == 0 {
		t.Error(res, paths, incomplete, err)
	}
	if _, _, incomplete, _ = a.RulesFor(context.Background(), node("n1"), ""); !incomplete {
		t.Error("a node's rules are not all of them")
	}
	if res, _, _, _ = a.RulesFor(context.Background(), who("root", user.SystemPrivilegedGroup), ""); res[0].GetVerbs()[0] != "*" {
		t.Error(res)
	}
}

func BenchmarkDecision(b *testing.B) {
	a := bootstrapped()
	r := ask(account("kube-system", "replicaset-controller"), "create pods default")
	for b.Loop() {
		a.Authorize(context.Background(), r)
	}
}
