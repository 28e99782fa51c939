package admission

import (
	"context"
	"errors"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
)

// nodeRestriction holds a kubelet to its own node, and to the pods on it. The node authorizer has decided by names; this
// looks into the objects.
var nodeRestriction = plugin{
	name: "NodeRestriction",
	handles: func(op Operation, gr schema.GroupResource, _ string) bool {
		return op != Connect && nodeRules[gr] != nil
	},
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		node, is := nodeOf(a.User)
		if !is {
			return nil
		}
		if node == "" {
			return a.forbid("could not determine node from user %q", a.User.GetName())
		}
		return nodeRules[a.Resource.GroupResource()](ctx, c, a, node)
	},
}

// nodeRule decides a write of the kubelet of node.
type nodeRule func(ctx context.Context, c *Config, a *Attributes, node string) error

var nodeRules = map[schema.GroupResource]nodeRule{
	pods:                                  nodeWritesPod,
	nodes:                                 nodeWritesNode,
	claims:                                nodeWritesClaim,
	serviceAccounts:                       nodeWantsToken,
	coordinationv1.Resource("leases"):     nodeWritesLease,
	storagev1.Resource("csinodes"):        nodeWritesCSINode,
	resourcev1.Resource("resourceslices"): nodeWritesSlice,
	signingRequests:                       nodeWantsCertificate,
	certificatesv1.Resource("podcertificaterequests"): nodeWantsPodCertificate,
}

// nodeOf returns the name of the node that u is the kubelet of.
func nodeOf(u user.Info) (name string, is bool) {
	const prefix = "system:node:"
	if u == nil || !strings.HasPrefix(u.GetName(), prefix) || !slices.Contains(u.GetGroups(), user.NodesGroup) {
		return "", false
	}
	return strings.TrimPrefix(u.GetName(), prefix), true
}

func nodeWritesClaim(_ context.Context, _ *Config, a *Attributes, node string) error {
	if a.Subresource != "status" {
		return a.forbid("may only update PVC status")
	}
	now, ok := object[*corev1.PersistentVolumeClaim](a)
	was, okOld := old[*corev1.PersistentVolumeClaim](a)
	if a.Operation != Update || !ok || !okOld {
		return a.forbid("unexpected operation %q", a.Operation)
	}
	strip := func(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
		c = c.DeepCopy()
		c.ResourceVersion, c.ManagedFields = "", nil
		c.Status.Capacity, c.Status.Conditions, c.Status.AllocatedResources, c.Status.AllocatedResourceStatuses = nil, nil, nil, nil
		return c
	}
	if !equality.Semantic.DeepEqual(strip(now), strip(was)) {
		return a.forbid("node %q is not allowed to update fields other than status.quantity and status.conditions", node)
	}
	return nil
}

// nodeWantsToken: only for a pod that runs on the node, and only for an audience that the pod asks for.
func nodeWantsToken(ctx context.Context, c *Config, a *Attributes, node string) error {
	if a.Operation != Create || a.Subresource != "token" {
		return nil
	}
	req, ok := object[*authenticationv1.TokenRequest](a)
	if !ok {
		return a.forbid("unexpected type %T", a.Object)
	}
	ref := req.Spec.BoundObjectRef
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return a.forbid("node requested token not bound to a pod")
	}
	if ref.UID == "" {
		return a.forbid("node requested token with a pod binding without a uid")
	}
	pod, err := read[*corev1.Pod](ctx, c.Objects, pods, a.Namespace, ref.Name)
	if err != nil {
		return notFoundOr(a, err)
	}
	if ref.UID != pod.UID {
		return a.forbid("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	}
	if pod.Spec.NodeName != node {
		return a.forbid("node requested token bound to a pod scheduled on a different node")
	}
	return audienceAllowed(ctx, c, a, req.Spec.Audiences, pod)
}

// notFoundOr leaves a NotFound as it is, so that the kubelet sees that the object is gone.
func notFoundOr(a *Attributes, err error) error {
	if apierrors.IsNotFound(err) {
		return err
	}
	return a.forbidden(err)
}

func nodeWritesLease(_ context.Context, _ *Config, a *Attributes, node string) error {
	if a.Namespace != corev1.NamespaceNodeLease {
		return a.forbid("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
	}
	if ownName(a) != node {
		return a.forbid("can only access node lease with the same name as the requesting node")
	}
	return nil
}

func nodeWritesCSINode(_ context.Context, _ *Config, a *Attributes, node string) error {
	if ownName(a) != node {
		return a.forbid("can only access CSINode with the same name as the requesting node")
	}
	if a.Subresource == "status" {
		return a.forbid("CSIVolumeHealth feature gate is disabled")
	}
	return nil
}

// ownName is the object's name; on create the one that it gives itself.
func ownName(a *Attributes) string {
	if m, ok := a.Object.(metav1.Object); ok && a.Operation == Create {
		return m.GetName()
	}
	return a.Name
}

func nodeWritesSlice(_ context.Context, _ *Config, a *Attributes, node string) error {
	slice, ok := object[*resourcev1.ResourceSlice](a)
	switch a.Operation {
	case Create:
		if !ok || slice.Spec.NodeName == nil || *slice.Spec.NodeName != node {
			return a.forbidden(errors.New("can only create ResourceSlice with the same NodeName as the requesting node"))
		}
	case Delete:
		slice, ok = old[*resourcev1.ResourceSlice](a)
		if !ok || slice.Spec.NodeName == nil || *slice.Spec.NodeName != node {
			return a.forbidden(errors.New("can only delete ResourceSlice with the same NodeName as the requesting node"))
		}
	}
	return nil
}

// nodeWantsCertificate: a request to a kubelet's signer must be for the kubelet itself.
func nodeWantsCertificate(_ context.Context, _ *Config, a *Attributes, node string) error {
	csr, ok := object[*certificatesv1.CertificateSigningRequest](a)
	if a.Operation != Create || !ok {
		return nil
	}
	if s := csr.Spec.SignerName; s != certificatesv1.KubeAPIServerClientKubeletSignerName && s != certificatesv1.KubeletServingSignerName {
		return nil
	}
	req, err := parseRequest(csr.Spec.Request)
	if err != nil {
		return a.forbid("unable to parse csr: %w", err)
	}
	if req.Subject.CommonName != "system:node:"+node {
		return a.forbid("can only create a node CSR with CN=system:node:%s", node)
	}
	return nil
}

func nodeWantsPodCertificate(ctx context.Context, c *Config, a *Attributes, node string) error {
	req, ok := object[*certificatesv1beta1.PodCertificateRequest](a) // the stored version
	if a.Operation != Create || a.Subresource != "" || !ok {
		return a.forbid("unexpected operation %v", a.Operation)
	}
	if string(req.Spec.NodeName) != node {
		return a.forbid("PodCertificateRequest.Spec.NodeName=%q, which is not the requesting node %q", req.Spec.NodeName, node)
	}
	pod, err := read[*corev1.Pod](ctx, c.Objects, pods, a.Namespace, req.Spec.PodName)
	if err != nil {
		return a.forbid("while retrieving pod %q named in the PodCertificateRequest: %w", a.Namespace+"/"+req.Spec.PodName, err)
	}
	switch id := a.Namespace + "/" + pod.Name; {
	case pod.UID != req.Spec.PodUID:
		return apierrors.NewConflict(pods, pod.Name, errors.New("the request is for a pod of this name with another UID"))
	case pod.Spec.NodeName != node:
		return a.forbid("pod %q is not running on node %q named in the PodCertificateRequest", id, node)
	case isMirror(pod):
		return a.forbid("pod %q is a mirror pod", id)
	case pod.Spec.ServiceAccountName != req.Spec.ServiceAccountName:
		return a.forbid("PodCertificateRequest for pod %q contains serviceAccountName (%q) that differs from running pod (%q)", id, req.Spec.ServiceAccountName, pod.Spec.ServiceAccountName)
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.PodCertificate != nil && s.PodCertificate.SignerName == req.Spec.SignerName {
				return nil
			}
		}
	}
	return a.forbid("pod %q does not mount a podCertificate projected volume for signer %q", a.Namespace+"/"+pod.Name, req.Spec.SignerName)
}
