package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/certificates"
	"k8s.io/kubernetes/pkg/apis/certificates/validation"
)

func podCertificateRequest() kind {
	return kind{
		group: "certificates.k8s.io",
		name:  "PodCertificateRequest", plural: "podcertificaterequests",
		storage: "v1beta1",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(p, old *certificates.PodCertificateRequest) {
					p.Spec = old.Spec
					statusOnly(&p.ObjectMeta, &old.ObjectMeta)
				}),
				ValidateUpdate:         validIssue,
				RequireResourceVersion: true,
				ResetFields:            []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate:       prepare(func(p *certificates.PodCertificateRequest) { p.Status = certificates.PodCertificateRequestStatus{} }),
			PrepareForUpdate:       prepareUpdate(func(p, old *certificates.PodCertificateRequest) { p.Status = old.Status }),
			Validate:               valid(validation.ValidatePodCertificateRequestCreate),
			ValidateUpdate:         validUpdate(validation.ValidatePodCertificateRequestUpdate),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		fields: selectable(func(p *certificatesv1beta1.PodCertificateRequest) map[string]string {
			return map[string]string{"spec.signerName": p.Spec.SignerName, "spec.podName": p.Spec.PodName, "spec.nodeName": string(p.Spec.NodeName)}
		}),
		columns: table("Name", "PodName", "ServiceAccountName", "NodeName", "SignerName", "State", "UnverifiedUserAnnotations"),
		row: typed(func(p *certificatesv1beta1.PodCertificateRequest, _ time.Time) []any {
			state := "Pending"
			for _, c := range p.Status.Conditions {
				switch c.Type {
				case certificatesv1beta1.PodCertificateRequestConditionTypeIssued, certificatesv1beta1.PodCertificateRequestConditionTypeDenied,
					certificatesv1beta1.PodCertificateRequestConditionTypeFailed:
					state = c.Type
				}
			}
			return []any{p.Name, p.Spec.PodName, p.Spec.ServiceAccountName, string(p.Spec.NodeName), p.Spec.SignerName, state, labelsCell(p.Spec.UnverifiedUserAnnotations)}
		}),
	}
}

// validIssue lets only those fill the status who may sign for the signer.
func validIssue(ctx context.Context, r *Request, obj, was Object) field.ErrorList {
	p, old := obj.(*certificates.PodCertificateRequest), was.(*certificates.PodCertificateRequest)
	errs := validation.ValidatePodCertificateRequestStatusUpdate(p, old, stopped(r.Now.Time))
	if len(errs) > 0 || sameValue(p.Status, old.Status) || r.maySign(old.Spec.SignerName) {
		return errs
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "signerName"), fmt.Sprintf("User %q is not permitted to \"sign\" for signer %q", r.User.Username, old.Spec.SignerName))}
}

// maySign asks for the signer by its name, and for its domain with any path.
func (r *Request) maySign(signer string) bool {
	a := Access{Verb: "sign", Group: "certificates.k8s.io", Version: "*", Resource: "signers", Name: signer}
	if r.allowed(a) == nil {
		return true
	}
	domain, _, _ := strings.Cut(signer, "/")
	a.Name = domain + "/*"
	return r.allowed(a) == nil
}

// stopped is a clock that shows the time of the request.
type stopped time.Time

func (c stopped) Now() time.Time                  { return time.Time(c) }
func (c stopped) Since(t time.Time) time.Duration { return time.Time(c).Sub(t) }
