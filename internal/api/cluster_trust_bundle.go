package api

import (
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/certificates"
	"k8s.io/kubernetes/pkg/apis/certificates/validation"
)

func clusterTrustBundle() kind {
	return kind{
		group: "certificates.k8s.io",
		name:  "ClusterTrustBundle", plural: "clustertrustbundles",
		storage: "v1beta1",
		cluster: true,
		strategy: &Strategy{
			Validate: valid(func(b *certificates.ClusterTrustBundle) field.ErrorList {
				return validation.ValidateClusterTrustBundle(b, validation.ValidateClusterTrustBundleOptions{})
			}),
			ValidateUpdate:         validUpdate(validation.ValidateClusterTrustBundleUpdate),
			RequireResourceVersion: true,
		},
		fields: selectable(func(b *certificatesv1beta1.ClusterTrustBundle) map[string]string {
			return map[string]string{"spec.signerName": b.Spec.SignerName}
		}),
		columns: table("Name", "SignerName"),
		row: typed(func(b *certificatesv1beta1.ClusterTrustBundle, _ time.Time) []any {
			return []any{b.Name, orNone(b.Spec.SignerName)}
		}),
	}
}
