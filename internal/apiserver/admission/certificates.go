package admission

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

var signingRequests = certificatesv1.Resource("certificatesigningrequests")

func onSigningRequest(want Operation, subresource string) func(Operation, schema.GroupResource, string) bool {
	return func(op Operation, gr schema.GroupResource, sub string) bool {
		return op == want && gr == signingRequests && sub == subresource
	}
}

// certificateApproval lets only those approve who may do so for the request's signer.
var certificateApproval = plugin{
	name:    "CertificateApproval",
	handles: onSigningRequest(Update, "approval"),
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		csr, ok := old[*certificatesv1.CertificateSigningRequest](a)
		if !ok {
			return a.forbid("expected type CertificateSigningRequest, got: %T", a.OldObject)
		}
		if !maySign(ctx, c, a.User, "approve", csr.Spec.SignerName) {
			return a.forbid("user not permitted to approve requests with signerName %q", csr.Spec.SignerName)
		}
		return nil
	},
}

// certificateSigning lets only those sign who may do so for the request's signer.
var certificateSigning = plugin{
	name:    "CertificateSigning",
	handles: onSigningRequest(Update, "status"),
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		csr, ok := object[*certificatesv1.CertificateSigningRequest](a)
		was, okOld := old[*certificatesv1.CertificateSigningRequest](a)
		if !ok || !okOld {
			return a.forbid("expected type CertificateSigningRequest, got: %T", a.Object)
		}
		if slices.Equal(was.Status.Certificate, csr.Status.Certificate) && equality.Semantic.DeepEqual(was.Status.Conditions, csr.Status.Conditions) {
			return nil
		}
		if !maySign(ctx, c, a.User, "sign", was.Spec.SignerName) {
			return a.forbid("user not permitted to sign requests with signerName %q", was.Spec.SignerName)
		}
		return nil
	},
}

// maySign asks for the signer itself, then for all of its domain.
func maySign(ctx context.Context, c *Config, u user.Info, verb, signer string) bool {
	domain, _, _ := strings.Cut(signer, "/")
	for _, name := range []string{signer, domain + "/*"} {
		d, _, err := c.Authorizer.Authorize(ctx, authorizer.AttributesRecord{User: u, Verb: verb, Name: name, APIGroup: certificatesv1.GroupName,
			APIVersion: "*", Resource: "signers", ResourceRequest: true})
		if err == nil && d == authorizer.DecisionAllow {
			return true
		}
	}
	return false
}

// certificateSubjectRestriction keeps the group that may do everything out of client certificates.
var certificateSubjectRestriction = plugin{
	name:    "CertificateSubjectRestriction",
	handles: onSigningRequest(Create, ""),
	validate: func(_ context.Context, _ *Config, a *Attributes) error {
		csr, ok := object[*certificatesv1.CertificateSigningRequest](a)
		if !ok {
			return a.forbid("expected type CertificateSigningRequest, got: %T", a.Object)
		}
		if csr.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
			return nil
		}
		req, err := parseRequest(csr.Spec.Request)
		if err != nil {
			return a.forbid("failed to parse CSR: %w", err)
		}
		if slices.Contains(req.Subject.Organization, user.SystemPrivilegedGroup) {
			return a.forbid("use of %s signer with system:masters group is not allowed", certificatesv1.KubeAPIServerClientSignerName)
		}
		return nil
	},
}

func parseRequest(data []byte) (*x509.CertificateRequest, error) {
	b, _ := pem.Decode(data)
	if b == nil || b.Type != "CERTIFICATE REQUEST" {
		return nil, errNoRequest
	}
	return x509.ParseCertificateRequest(b.Bytes)
}
