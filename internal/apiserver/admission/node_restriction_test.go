package admission

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
)

func byNode(a *Attributes) *Attributes {
	a.User = &user.DefaultInfo{Name: "system:node:n1", Groups: []string{user.NodesGroup}}
	return a
}

func sub(a *Attributes, s string) *Attributes { a.Subresource = s; return a }

func TestNodeRestriction(t *testing.T) {
	yes := true
	on := func(node string) *corev1.Pod {
		return pod(func(p *corev1.Pod) {
			p.Name, p.UID, p.Spec.NodeName = "on-"+node, types.UID("uid-"+node), node
			p.Spec.Volumes = []corev1.Volume{{Name: "t", VolumeSource: corev1.VolumeSource{Projected: tokenVolume()}}}
		})
	}
	w := func() world {
		return plain().With(nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "node-uid"}}).With(pods, on("n1"), on("n2")).
			With(namespaces, &corev1.Namespace{ObjectMeta: named("", corev1.NamespaceNodeLease)}, &corev1.Namespace{ObjectMeta: named("", "default")})
	}
	mirror := func(change ...func(*corev1.Pod)) *Attributes {
		p := pod(append([]func(*corev1.Pod){func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
			p.Spec.NodeName = "n1"
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n1", UID: "node-uid", Controller: &yes}}
		}}, change...)...)
		return create(pods, p)
	}
	token := func(podName, uid string, audiences ...string) *Attributes {
		a := create(serviceAccounts, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences,
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: podName, UID: types.UID(uid)}}})
		a.Namespace, a.Name = "a", "default"
		return sub(a, "token")
	}
	node := func(name string, labels ...string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
		for _, l := range labels {
			n.Labels[l] = "x"
		}
		return n
	}
	tainted := node("n1")
	tainted.Spec.Taints = []corev1.Taint{{Key: "k"}}
	status := on("n1")
	status.Status.Phase = corev1.PodRunning
	relabelled := on("n1")
	relabelled.Labels = map[string]string{"a": "b"}
	eviction := func(name string) *Attributes {
		return sub(create(pods, &policyv1.Eviction{ObjectMeta: named("a", name)}), "eviction")
	}
	lease := func(ns, name string) *Attributes {
		return create(coordinationv1.Resource("leases"), &coordinationv1.Lease{ObjectMeta: named(ns, name)})
	}
	forPod := func(node string) *Attributes {
		return create(certificatesv1beta1.Resource("podcertificaterequests"), &certificatesv1beta1.PodCertificateRequest{ObjectMeta: named("a", "req"),
			Spec: certificatesv1beta1.PodCertificateRequestSpec{SignerName: "example.com/mesh", PodName: "on-" + node, PodUID: types.UID("uid-" + node),
				NodeName: types.NodeName(node), ServiceAccountName: on(node).Spec.ServiceAccountName}})
	}
	del := func(name string) *Attributes {
		return &Attributes{Operation: Delete, Resource: pods.WithVersion("v1"), Namespace: "a", Name: name}
	}
	for _, c := range []struct {
		what string
		a    *Attributes
		err  string
	}{
		{"mirror pod", mirror(), ""},
		{"plain pod", create(pods, pod()), `pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods`},
		{"mirror pod elsewhere", mirror(func(p *corev1.Pod) { p.Spec.NodeName = "n2" }), "can only create pods with spec.nodeName set to itself"},
		{"mirror pod of nobody", mirror(func(p *corev1.Pod) { p.OwnerReferences = nil }), "can only create pods with an owner reference set to itself"},
		{"mirror pod of another node of this name", mirror(func(p *corev1.Pod) { p.OwnerReferences[0].UID = "x" }), "node n1 UID mismatch: expected x got node-uid"},
		{"mirror pod with secret", mirror(func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "s"}} }), "can not create pods that reference secrets"},
		{"delete own pod", del("on-n1"), ""},
		{"delete other pod", del("on-n2"), "can only delete pods with spec.nodeName set to itself"},
		{"delete missing pod", del("none"), `pods "none" not found`},
		{"own status", update(pods, "status", status, on("n1")), ""},
		{"other status", update(pods, "status", on("n2"), on("n2")), "can only update pod status for pods with spec.nodeName set to itself"},
		{"labels by status", update(pods, "status", relabelled, on("n1")), "cannot update labels through pod status"},
		{"update pod", update(pods, "", status, on("n1")), "can only create and delete mirror pods"},
		{"evict own", eviction("on-n1"), ""},
		{"evict other", eviction("on-n2"), "can only evict pods with spec.nodeName set to itself"},
		{"token", token("on-n1", "uid-n1"), ""},
		{"token for another pod", token("on-n2", "uid-n2"), "node requested token bound to a pod scheduled on a different node"},
		{"token for an earlier pod", token("on-n1", "old"), "does not match the UID in record"},
		{"token without uid", token("on-n1", ""), "pod binding without a uid"},
		{"token for another audience", token("on-n1", "uid-n1", "vault"), `system:node:n1 is not authorized to request tokens for audience "vault"`},
		{"register", create(nodes, node("n1", corev1.LabelHostname, corev1.LabelArchStable, "node.kubernetes.io/x", "example.com/x")), ""},
		{"register another", create(nodes, node("n2")), `node "n1" is not allowed to modify node "n2"`},
		{"register as control plane", create(nodes, node("n1", "node-role.kubernetes.io/control-plane")), "not allowed to set the following labels: node-role.kubernetes.io/control-plane"},
		{"restricted label", update(nodes, "", node("n1", "x.node-restriction.kubernetes.io/y"), node("n1")), "is not allowed to modify labels"},
		{"remove taint", update(nodes, "", node("n1"), tainted), "is not allowed to modify taints"},
		{"node status", update(nodes, "status", node("n1"), node("n1")), ""},
		{"lease", lease(corev1.NamespaceNodeLease, "n1"), ""},
		{"other lease", lease(corev1.NamespaceNodeLease, "n2"), "can only access node lease with the same name"},
		{"lease elsewhere", lease("default", "n1"), "can only access leases in the"},
		{"own certificate", create(signingRequests, csr(t, certificatesv1.KubeletServingSignerName, "system:node:n1", "system:nodes")), ""},
		{"other certificate", create(signingRequests, csr(t, certificatesv1.KubeletServingSignerName, "system:node:n2", "system:nodes")), "can only create a node CSR with CN=system:node:n1"},
		{"certificate for a pod elsewhere", forPod("n2"), `PodCertificateRequest.Spec.NodeName="n2", which is not the requesting node "n1"`},
		{"certificate that the pod does not ask for", forPod("n1"), `does not mount a podCertificate projected volume for signer "example.com/mesh"`},
	} {
		expect(t, c.what, run(w(), byNode(c.a)), c.err)
	}
	expect(t, "not a node", run(w(), create(nodes, node("n2", "node-role.kubernetes.io/x"))), "")
}
