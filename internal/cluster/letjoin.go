package cluster

import (
	"context"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers/certificates"
)

// What machines need to join is in the API only where a token was ever made: a cluster of one node has none of it. Names
// and contents are kubeadm's, as far as it has them, so that upstream's kubelets can join in the same way.

// joiners is the group of those who come with a token.
const joiners = "system:bootstrappers:kubeadm:default-node-token"

var (
	roles        = client.Kind[*rbacv1.Role]{GroupVersion: rbacv1.SchemeGroupVersion, Kind: "Role", Resource: "roles", Namespaced: true}
	roleBindings = client.Kind[*rbacv1.RoleBinding]{GroupVersion: rbacv1.SchemeGroupVersion, Kind: "RoleBinding", Resource: "rolebindings", Namespaced: true}
)

// letJoin makes these objects, or what they should be of those that are there.
func letJoin(ctx context.Context, c *client.Client, id Identity, server string, caPEM []byte) error {
	info, err := infoMap(id, server, caPEM)
	if err != nil {
		return err
	}
	approves := may("approve", certificatesv1.GroupName, "signers")
	approves.ResourceNames = []string{certificatesv1.KubeletServingSignerName}
	for _, role := range []*rbacv1.ClusterRole{
		clusterRole("kubeadm:get-nodes", may("get", "", "nodes")),
		// What a node's Service proxy, routes and DNS read. Pods and Secrets are not among it: of those the node authorizer lets
		// each see its own.
		clusterRole("minato:node-traffic", may("get list watch", "", "nodes", "namespaces", "services"), may("get list watch", "discovery.k8s.io", "endpointslices")),
		clusterRole("minato:kubelet-serving-approver", approves),
	} {
		if err := ensure(ctx, c, client.ClusterRoles, role); err != nil {
			return err
		}
	}
	group := func(name string) rbacv1.Subject {
		return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
	}
	for _, b := range []struct {
		name, role string
		to         rbacv1.Subject
	}{
		{"kubeadm:kubelet-bootstrap", "system:node-bootstrapper", group(joiners)},
		{"kubeadm:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", group(joiners)},
		{"kubeadm:node-autoapprove-certificate-rotation", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", group("system:nodes")},
		{"kubeadm:get-nodes", "kubeadm:get-nodes", group(joiners)},
		{"minato:node-traffic", "minato:node-traffic", group("system:nodes")},
		{"minato:kubelet-serving-approver", "minato:kubelet-serving-approver", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind,
			Namespace: metav1.NamespaceSystem, Name: certificates.Account}},
	} {
		if err := ensure(ctx, c, client.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: b.name},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: b.role},
			Subjects: []rbacv1.Subject{b.to}}); err != nil {
			return err
		}
	}
	if err := ensure(ctx, c, client.ConfigMaps, info); err != nil {
		return err
	}
	const reader = "kubeadm:bootstrap-signer-clusterinfo"
	at := metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: reader}
	rule := may("get", "", "configmaps")
	rule.ResourceNames = []string{infoName}
	if err := ensure(ctx, c, roles, &rbacv1.Role{ObjectMeta: at, Rules: []rbacv1.PolicyRule{rule}}); err != nil {
		return err
	}
	return ensure(ctx, c, roleBindings, &rbacv1.RoleBinding{ObjectMeta: at, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: reader},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "system:anonymous"}}})
}

func may(verbs, group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), APIGroups: []string{group}, Resources: resources}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

func ensure[T client.Object](ctx context.Context, c *client.Client, k client.Kind[T], want T) error {
	_, err := client.Of(c, k).Create(ctx, want)
	if apierrors.IsAlreadyExists(err) {
		_, err = client.Of(c, k).Update(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.Kind, want.GetName(), err)
	}
	return nil
}

// infoMap is what everybody may know of the cluster: its authority, server and ranges.
func infoMap(id Identity, server string, caPEM []byte) (*corev1.ConfigMap, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[""] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: caPEM}
	text, err := clientcmd.Write(*config)
	if err != nil {
		return nil, err
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: infoName},
		Data: map[string]string{"kubeconfig": string(text), "podCIDR": id.PodCIDR.String(), "serviceCIDR": id.ServiceCIDR.String()}}, nil
}
