package authn

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/kubernetes/pkg/apis/authentication"
	"k8s.io/kubernetes/pkg/apis/authentication/validation"
)

// Lifetimes. A pod's token for the API server that asks for exactly extendable lives a year but counts as stale after the hour it
// asked for: clients that do not read the rotated file keep working and can be found.
const (
	defaultSeconds = 60 * 60
	extendable     = 60*60 + 7
	extendedLife   = 365 * 24 * time.Hour
)

var tokenRequestKind = schema.GroupKind{Group: authenticationv1.GroupName, Kind: "TokenRequest"}

// Issue answers a create of serviceaccounts/token for the account namespace/name: a copy of req with its spec
// completed and its status filled. Errors are API status errors: NotFound for the account or the bound object,
// Conflict where a UID differs, BadRequest for what cannot be bound to, Invalid for a bad lifetime.
func (i *Issuer) Issue(ctx context.Context, namespace, name string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	out := req.DeepCopy()
	if err := sameAccount(namespace, name, out); err != nil {
		return nil, err
	}
	sa, err := get[*corev1.ServiceAccount](ctx, i.c.Objects, "serviceaccounts", namespace, name)
	if err != nil {
		return nil, err
	}
	if out.UID != "" && out.UID != sa.UID {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: tokenRequestKind.Group, Resource: tokenRequestKind.Kind}, name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", out.UID, sa.UID))
	}
	now := i.c.Now()
	out.Name, out.Namespace, out.UID, out.CreationTimestamp = sa.Name, sa.Namespace, sa.UID, metav1.NewTime(now)
	out.Status = authenticationv1.TokenRequestStatus{}
	if err := i.complete(&out.Spec); err != nil {
		return nil, err
	}
	c := i.claims(sa, &out.Spec, now)
	if err := i.bind(ctx, c, sa, out.Spec.BoundObjectRef); err != nil {
		return nil, err
	}
	i.extend(c, &out.Spec, now)
	token, err := i.keys.Load().issue(c)
	if err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("failed to generate token: %w", err))
	}
	out.Status.Token = token
	out.Status.ExpirationTimestamp = metav1.NewTime(now.Add(time.Duration(*out.Spec.ExpirationSeconds) * time.Second))
	return out, nil
}

func sameAccount(namespace, name string, req *authenticationv1.TokenRequest) error {
	invalid := func(f, value, detail string) error {
		return apierrors.NewInvalid(tokenRequestKind, name, field.ErrorList{field.Invalid(field.NewPath("metadata", f), value, detail)})
	}
	if req.Name != "" && req.Name != name {
		return invalid("name", req.Name, "must match the service account name if specified")
	}
	if req.Namespace != "" && req.Namespace != namespace {
		return invalid("namespace", req.Namespace, "must match the service account namespace if specified")
	}
	return nil
}

// complete fills defaults and checks the lifetime.
func (i *Issuer) complete(s *authenticationv1.TokenRequestSpec) error {
	if len(s.Audiences) == 0 {
		s.Audiences = slices.Clone(i.c.Audiences)
	}
	if s.ExpirationSeconds == nil {
		s.ExpirationSeconds = new(int64(defaultSeconds))
	}
	checked := authentication.TokenRequest{Spec: authentication.TokenRequestSpec{Audiences: s.Audiences, ExpirationSeconds: *s.ExpirationSeconds}}
	if errs := validation.ValidateTokenRequest(&checked); len(errs) > 0 {
		return apierrors.NewInvalid(tokenRequestKind, "", errs)
	}
	return nil
}

func (i *Issuer) claims(sa *corev1.ServiceAccount, s *authenticationv1.TokenRequestSpec, now time.Time) *claims {
	return &claims{Issuer: i.c.URL, Subject: serviceaccount.MakeUsername(sa.Namespace, sa.Name), Audience: s.Audiences,
		IssuedAt: at(now), NotBefore: at(now), Expiry: at(now.Add(time.Duration(*s.ExpirationSeconds) * time.Second)), ID: newID(),
		K8s: &kubeClaims{Namespace: sa.Namespace, ServiceAccount: ref{sa.Name, string(sa.UID)}}}
}

// bind ties c to the object that r names.
func (i *Issuer) bind(ctx context.Context, c *claims, sa *corev1.ServiceAccount, r *authenticationv1.BoundObjectReference) error {
	if r == nil {
		return nil
	}
	gvk := schema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
	var uid types.UID
	switch gvk.GroupKind() {
	case schema.GroupKind{Kind: "Pod"}:
		pod, err := get[*corev1.Pod](ctx, i.c.Objects, "pods", sa.Namespace, r.Name)
		if err != nil {
			return err
		}
		if pod.Spec.ServiceAccountName != sa.Name {
			return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", sa.Name))
		}
		uid, c.K8s.Pod = pod.UID, &ref{pod.Name, string(pod.UID)}
		if c.K8s.Node, err = i.nodeOf(ctx, pod); err != nil {
			return err
		}
	case schema.GroupKind{Kind: "Node"}:
		node, err := get[*corev1.Node](ctx, i.c.Objects, "nodes", "", r.Name)
		if err != nil {
			return err
		}
		uid, c.K8s.Node = node.UID, &ref{node.Name, string(node.UID)}
	case schema.GroupKind{Kind: "Secret"}:
		secret, err := get[*corev1.Secret](ctx, i.c.Objects, "secrets", sa.Namespace, r.Name)
		if err != nil {
			return err
		}
		uid, c.K8s.Secret = secret.UID, &ref{secret.Name, string(secret.UID)}
	default:
		return apierrors.NewBadRequest("cannot bind token to object of type " + gvk.String())
	}
	if r.UID != "" && r.UID != uid {
		return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, r.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", r.UID))
	}
	return nil
}

// nodeOf names the node of a pod that has one. A node without an object is named without UID.
func (i *Issuer) nodeOf(ctx context.Context, pod *corev1.Pod) (*ref, error) {
	if pod.Spec.NodeName == "" {
		return nil, nil
	}
	node, err := get[*corev1.Node](ctx, i.c.Objects, "nodes", "", pod.Spec.NodeName)
	if apierrors.IsNotFound(err) {
		return &ref{Name: pod.Spec.NodeName}, nil
	}
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return &ref{node.Name, string(node.UID)}, nil
}

// extend applies the rule described at extendable.
func (i *Issuer) extend(c *claims, s *authenticationv1.TokenRequestSpec, now time.Time) {
	if c.K8s.Pod == nil || *s.ExpirationSeconds != extendable || !i.ownAudiences(s.Audiences) {
		return
	}
	c.K8s.WarnAfter = c.Expiry
	c.Expiry = at(now.Add(extendedLife))
}

func (i *Issuer) ownAudiences(auds []string) bool {
	for _, a := range auds {
		if !slices.Contains(i.c.Audiences, a) {
			return false
		}
	}
	return len(auds) > 0
}

// LegacyToken returns the token that belongs into a Secret of type kubernetes.io/service-account-token: without end, valid as long
// as the Secret holds it.
func (i *Issuer) LegacyToken(sa *corev1.ServiceAccount, secret *corev1.Secret) (string, error) {
	return i.keys.Load().issue(&claims{Issuer: LegacyIssuer, Subject: serviceaccount.MakeUsername(sa.Namespace, sa.Name),
		LegacyNamespace: sa.Namespace, LegacyName: sa.Name, LegacyUID: string(sa.UID), LegacySecret: secret.Name})
}

// newID is a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
