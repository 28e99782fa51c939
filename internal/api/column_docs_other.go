package api

import (
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// otherColumns documents the columns of all other kinds.
func otherColumns(plural string) docs {
	switch plural {
	case "customresourcedefinitions":
		return docs{"Scope": "Cluster/Namespaced", "Versions": "Served versions", "Group": "API group", "Kind": "CustomResource kind",
			"ShortNames": "Short names", "Established": "Established status"}
	case "ingresses":
		return docs{
			"Class":   "The name of the IngressClass resource that should be used for additional configuration",
			"Hosts":   "Hosts that incoming requests are matched against before the ingress rule",
			"Address": "Address is a list containing ingress points for the load-balancer", "Ports": "Ports of TLS configurations that open",
		}
	case "ingressclasses":
		return docs{
			"Controller": "Controller that is responsible for handling this class",
			"Parameters": "A reference to a resource with additional parameters",
		}
	case "networkpolicies":
		return docs{"Pod-Selector": doc(networkingv1.NetworkPolicySpec{}, "podSelector")}
	case "rolebindings":
		return docs{
			"Role": changeable(doc(rbacv1.RoleBinding{}, "roleRef")), "Users": "Users in the roleBinding", "Groups": "Groups in the roleBinding",
			"ServiceAccounts": "ServiceAccounts in the roleBinding",
		}
	case "clusterrolebindings":
		return docs{
			"Role": changeable(doc(rbacv1.ClusterRoleBinding{}, "roleRef")), "Users": "Users in the clusterRoleBinding",
			"Groups": "Groups in the clusterRoleBinding", "ServiceAccounts": "ServiceAccounts in the clusterRoleBinding",
		}
	case "certificatesigningrequests":
		return docs{
			"SignerName":        doc(certificatesv1beta1.CertificateSigningRequestSpec{}, "signerName"),
			"Requestor":         doc(certificatesv1beta1.CertificateSigningRequestSpec{}, "request"),
			"RequestedDuration": doc(certificatesv1beta1.CertificateSigningRequestSpec{}, "expirationSeconds"),
			"Condition":         doc(certificatesv1beta1.CertificateSigningRequestStatus{}, "conditions"),
		}
	case "clustertrustbundles":
		return docs{"SignerName": doc(certificatesv1.ClusterTrustBundleSpec{}, "signerName")}
	case "podcertificaterequests":
		return docs{
			"PodName":                   doc(certificatesv1.PodCertificateRequestSpec{}, "podName"),
			"ServiceAccountName":        doc(certificatesv1.PodCertificateRequestSpec{}, "serviceAccountName"),
			"NodeName":                  doc(certificatesv1.PodCertificateRequestSpec{}, "nodeName"),
			"SignerName":                doc(certificatesv1.PodCertificateRequestSpec{}, "signerName"),
			"State":                     "Is the request Pending, Issued, Denied, or Failed?",
			"UnverifiedUserAnnotations": doc(certificatesv1.PodCertificateRequestSpec{}, "unverifiedUserAnnotations"),
		}
	case "leases":
		return docs{"Holder": doc(coordinationv1.LeaseSpec{}, "holderIdentity")}
	case "storageclasses":
		return docs{
			"Provisioner": doc(storagev1.StorageClass{}, "provisioner"), "ReclaimPolicy": doc(storagev1.StorageClass{}, "reclaimPolicy"),
			"VolumeBindingMode":    doc(storagev1.StorageClass{}, "volumeBindingMode"),
			"AllowVolumeExpansion": doc(storagev1.StorageClass{}, "allowVolumeExpansion"),
		}
	case "volumeattributesclasses":
		return docs{"DriverName": doc(storagev1.VolumeAttributesClass{}, "driverName")}
	case "priorityclasses":
		return docs{
			"Value": doc(schedulingv1.PriorityClass{}, "value"), "Global-Default": doc(schedulingv1.PriorityClass{}, "globalDefault"),
			"PreemptionPolicy": doc(schedulingv1.PriorityClass{}, "preemptionPolicy"),
		}
	case "runtimeclasses":
		return docs{"Handler": doc(metav1.ObjectMeta{}, "handler")}
	case "volumeattachments":
		return docs{
			"Attacher": doc(storagev1.VolumeAttachmentSpec{}, "attacher"),
			"PV":       doc(storagev1.VolumeAttachmentSource{}, "persistentVolumeName"), "Node": doc(storagev1.VolumeAttachmentSpec{}, "nodeName"),
			"Attached": doc(storagev1.VolumeAttachmentStatus{}, "attached"),
		}
	case "endpointslices":
		return docs{
			"AddressType": doc(discoveryv1.EndpointSlice{}, "addressType"), "Ports": doc(discoveryv1.EndpointSlice{}, "ports"),
			"Endpoints": doc(discoveryv1.EndpointSlice{}, "endpoints"),
		}
	}
	return moreColumns(plural)
}

// changeable is what v1beta1 says of a field. Its package is not worth the 200 KB that it weighs.
func changeable(text string) string { return strings.TrimSuffix(text, " This field is immutable.") }
