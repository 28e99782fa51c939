// Package certificates approves, signs and clears away CertificateSigningRequests, for upstream's signers
// kubernetes.io/kube-apiserver-client, kubernetes.io/kube-apiserver-client-kubelet and kubernetes.io/kubelet-serving.
//
//	made -> approved by it, for nodes -> issued (or Failed: the signer's rules are not kept) -> removed
//	     -> approved or denied by a user ----^------------------------------------------------^
//
// Approved without a user are the certificates of nodes: clients', when the API server says that whoever asks may (create
// of certificatesigningrequests/nodeclient or selfnodeclient), and serving ones of a node for the addresses that its own
// Node names and no other does. Upstream leaves the latter to somebody else. What a request asks for is judged in
// request.go, which is pure. Anybody may run it once a cluster; it needs nothing but the API.
package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// Sign issues a certificate, in PEM, for what req says, with these usages and no longer than life.
type Sign func(req *x509.CertificateRequest, key x509.KeyUsage, ext []x509.ExtKeyUsage, life time.Duration) ([]byte, error)

// Rules are what the cluster knows.
type Rules struct {
	Sign   Sign           // nil: nothing is signed
	Closed []netip.Prefix // ranges of pods and Services, in which no node has an address
}

// Requests is the door to the kind.
var Requests = client.Kind[*certificatesv1.CertificateSigningRequest]{GroupVersion: certificatesv1.SchemeGroupVersion,
	Kind: "CertificateSigningRequest", Resource: "certificatesigningrequests"}

var reviews = client.Kind[*authorizationv1.SubjectAccessReview]{GroupVersion: authorizationv1.SchemeGroupVersion,
	Kind: "SubjectAccessReview", Resource: "subjectaccessreviews"}

// Account is the service account that it writes as.
const Account = "certificate-controller"

type controller struct {
	c        *client.Client
	requests *client.View[*certificatesv1.CertificateSigningRequest]
	nodes    *client.View[*corev1.Node]
	rules    Rules
}

// New returns the controller.
func New(vs *client.Views, rules Rules, _ *slog.Logger) control.Controller {
	c := &controller{c: vs.Client(), requests: client.ViewOf(vs, Requests), nodes: client.ViewOf(vs, client.Nodes), rules: rules}
	return control.Controller{
		Name:      "certificates",
		Sources:   []control.Source{control.Self(c.requests), control.On(c.nodes, c.ofNode)},
		Writes:    []string{"certificatesigningrequests.certificates.k8s.io"},
		Reconcile: c.reconcile,
	}
}

// ofNode names the serving certificates that wait for what a Node says its addresses are: a request may be seen before them.
func (c *controller) ofNode(old, node *corev1.Node) (keys []control.Key) {
	if old != nil && node != nil && slices.Equal(old.Status.Addresses, node.Status.Addresses) {
		return nil
	}
	for _, csr := range c.requests.List("", nil) {
		if st := stateOf(csr); csr.Spec.SignerName == certificatesv1.KubeletServingSignerName && !st.approved && !st.done {
			keys = append(keys, control.Key{Name: csr.Name})
		}
	}
	return keys
}

func (c *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	csr, ok := c.requests.Get("", k.Name)
	if !ok || csr.DeletionTimestamp != nil {
		return control.Result{}, nil
	}
	st := stateOf(csr)
	left := time.Until(st.since.Add(keep(st)))
	if left <= 0 || expired(csr, time.Now()) {
		// The view may lag behind an approval, so that the removal holds for this version only.
		err := client.Of(c.c, Requests).Delete(ctx, "", csr.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &csr.UID, ResourceVersion: &csr.ResourceVersion}})
		return control.Result{}, settled("remove an old request", err)
	}
	var err error
	switch {
	case st.done:
	case st.approved:
		err = settled("sign", c.issue(ctx, csr))
	default:
		err = settled("approve", c.approve(ctx, csr))
	}
	return control.Result{After: left}, err
}

// settled leaves out errors that mean that the request has changed or is gone: it is looked at again if it is still there.
func settled(what string, err error) error {
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// approve approves what a node may have without anybody's word.
func (c *controller) approve(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
	req, err := parse(csr.Spec.Request)
	if err != nil {
		return nil // somebody else may know what to do with it
	}
	var why string
	switch csr.Spec.SignerName {
	case certificatesv1.KubeAPIServerClientKubeletSignerName:
		if why, err = c.nodeClient(ctx, csr, req); err != nil {
			return err
		}
	case certificatesv1.KubeletServingSignerName:
		if kubeletServing(req, csr.Spec) == nil && csr.Spec.Username == req.Subject.CommonName && c.owns(req) {
			why = "Auto approving kubelet serving certificate for the addresses of its own Node."
		}
	}
	if why == "" {
		return nil
	}
	changed := csr.DeepCopy()
	changed.Status.Conditions = append(changed.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: why})
	_, err = client.Of(c.c, Requests).Update(ctx, changed, "approval")
	if apierrors.IsForbidden(err) {
		return nil // this cluster leaves it to somebody else: upstream's roles know no approver of serving certificates
	}
	return err
}

// nodeClient asks the API server whether who asks may have a node's client certificate, and returns the message that says so.
func (c *controller) nodeClient(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, req *x509.CertificateRequest) (string, error) {
	if kubeletClient(req, csr.Spec) != nil {
		return "", nil
	}
	type way struct{ subresource, message string }
	ways := []way{{"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."}}
	if csr.Spec.Username == req.Subject.CommonName {
		ways = append([]way{{"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."}}, ways...)
	}
	for _, w := range ways {
		may, err := c.may(ctx, csr, w.subresource)
		if err != nil || may {
			return w.message, err
		}
	}
	return "", nil
}

func (c *controller) may(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, subresource string) (bool, error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range csr.Spec.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	got, err := client.Of(c.c, reviews).Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: csr.Spec.Username, UID: csr.Spec.UID, Groups: csr.Spec.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: certificatesv1.GroupName, Resource: Requests.Resource, Verb: "create",
			Subresource: subresource, Version: "*"}}})
	if err != nil {
		return false, err
	}
	return got.Status.Allowed, nil
}

// owns says whether everything that req names belongs to the node that it is for, and to no other.
func (c *controller) owns(req *x509.CertificateRequest) bool {
	name := strings.TrimPrefix(req.Subject.CommonName, nodeUser)
	own, claimed := map[string]bool{}, map[string]bool{}
	for _, n := range c.nodes.List("", nil) {
		into := claimed
		if n.Name == name {
			into = own
		}
		for _, a := range n.Status.Addresses {
			into[a.Address] = true
		}
	}
	return within(req, name, own, claimed, c.rules.Closed)
}

// issue signs an approved request, or says why its signer does not.
func (c *controller) issue(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
	check, ours := signers[csr.Spec.SignerName]
	if !ours || c.rules.Sign == nil {
		return nil
	}
	changed := csr.DeepCopy()
	req, err := parse(csr.Spec.Request)
	if err == nil {
		err = check(req, csr.Spec)
	}
	if err != nil {
		changed.Status.Conditions = append(changed.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure", Message: err.Error()})
	} else {
		key, ext := usagesOf(csr.Spec.Usages)
		if changed.Status.Certificate, err = c.rules.Sign(req, key, ext, lifetime(csr.Spec)); err != nil {
			return err
		}
	}
	_, err = client.Of(c.c, Requests).UpdateStatus(ctx, changed)
	return err
}
