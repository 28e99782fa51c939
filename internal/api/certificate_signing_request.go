package api

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/kubernetes/pkg/apis/certificates"
	"k8s.io/kubernetes/pkg/apis/certificates/validation"
)

// A request is made, then approved or denied through the approval subresource, then its signer puts the certificate into
// the status; its spec never changes.
func certificateSigningRequest() kind {
	return kind{
		group: "certificates.k8s.io",
		name:  "CertificateSigningRequest", plural: "certificatesigningrequests",
		short:   []string{"csr"},
		cluster: true,
		subs: []sub{
			{name: "approval", verbs: statusVerbs, strategy: &Strategy{
				PrepareForUpdate: func(r *Request, obj, was Object) {
					c, old := obj.(*certificates.CertificateSigningRequest), was.(*certificates.CertificateSigningRequest)
					stampConditions(c.Status.Conditions, old.Status.Conditions, r.Now)
					conditions := c.Status.Conditions
					c.Spec, c.Status = old.Spec, old.Status
					c.Status.Conditions = conditions
				},
				ValidateUpdate: validUpdate(validation.ValidateCertificateSigningRequestApprovalUpdate),
				ResetFields:    []string{"spec", "status.certificate"},
			}},
			status(&Strategy{
				PrepareForUpdate: func(r *Request, obj, was Object) {
					c, old := obj.(*certificates.CertificateSigningRequest), was.(*certificates.CertificateSigningRequest)
					c.Spec = old.Spec
					keepConditions(c, old, certificates.CertificateApproved)
					keepConditions(c, old, certificates.CertificateDenied)
					stampConditions(c.Status.Conditions, old.Status.Conditions, r.Now)
				},
				ValidateUpdate: validUpdate(validation.ValidateCertificateSigningRequestStatusUpdate),
				ResetFields:    []string{"spec", "status.conditions"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: newSigningRequest,
			PrepareForUpdate: prepareUpdate(func(c, old *certificates.CertificateSigningRequest) { c.Spec, c.Status = old.Spec, old.Status }),
			Validate:         valid(validation.ValidateCertificateSigningRequestCreate),
			ValidateUpdate:   validUpdate(validation.ValidateCertificateSigningRequestUpdate),
			ResetFields:      []string{"spec", "status"},
		},
		fields: selectable(func(c *certificatesv1.CertificateSigningRequest) map[string]string {
			return map[string]string{"spec.signerName": c.Spec.SignerName}
		}),
		columns: table("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
		row:     typed(signingRequestRow),
	}
}

// newSigningRequest records who asks; signers rely on it.
func newSigningRequest(r *Request, obj Object) {
	c := obj.(*certificates.CertificateSigningRequest)
	c.Spec.Username, c.Spec.UID, c.Spec.Groups, c.Spec.Extra = r.User.Username, r.User.UID, r.User.Groups, nil
	if len(r.User.Extra) > 0 {
		c.Spec.Extra = map[string]certificates.ExtraValue{}
		for k, v := range r.User.Extra {
			c.Spec.Extra[k] = certificates.ExtraValue(v)
		}
	}
	c.Status = certificates.CertificateSigningRequestStatus{Conditions: []certificates.CertificateSigningRequestCondition{}}
}

// keepConditions undoes changes of the conditions of type t, unless there are more or fewer of them, which validation refuses.
func keepConditions(c, old *certificates.CertificateSigningRequest, t certificates.RequestConditionType) {
	is, was := conditionsAt(c, t), conditionsAt(old, t)
	if len(is) != len(was) {
		return
	}
	for i := range is {
		c.Status.Conditions[is[i]] = old.Status.Conditions[was[i]]
	}
}

func conditionsAt(c *certificates.CertificateSigningRequest, t certificates.RequestConditionType) []int {
	var at []int
	for i := range c.Status.Conditions {
		if c.Status.Conditions[i].Type == t {
			at = append(at, i)
		}
	}
	return at
}

func stampConditions(list, old []certificates.CertificateSigningRequestCondition, now metav1.Time) {
	for i := range list {
		c := &list[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		for _, o := range old {
			if o.Type == c.Type && o.Status == c.Status && !o.LastTransitionTime.IsZero() {
				c.LastTransitionTime = o.LastTransitionTime
				break
			}
		}
	}
}

func signingRequestRow(c *certificatesv1.CertificateSigningRequest, now time.Time) []any {
	lifetime := "<none>"
	if s := c.Spec.ExpirationSeconds; s != nil {
		lifetime = duration.HumanDuration(time.Duration(*s) * time.Second)
	}
	return []any{c.Name, age(c.CreationTimestamp, now), orNone(c.Spec.SignerName), c.Spec.Username, lifetime, signingStatus(c)}
}

func signingStatus(c *certificatesv1.CertificateSigningRequest) string {
	is := map[certificatesv1.RequestConditionType]bool{}
	for _, x := range c.Status.Conditions {
		is[x.Type] = true
	}
	s := "Pending"
	switch {
	case is[certificatesv1.CertificateDenied]:
		s = "Denied"
	case is[certificatesv1.CertificateApproved]:
		s = "Approved"
	}
	if is[certificatesv1.CertificateFailed] {
		s += ",Failed"
	}
	if len(c.Status.Certificate) > 0 {
		s += ",Issued"
	}
	return s
}
