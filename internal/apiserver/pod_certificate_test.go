package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// TestNodeAsksForAPodsCertificate: what the guards see of a PodCertificateRequest are other versions of it than what the kubelet
// sends, and each has to recognise it.
func TestNodeAsksForAPodsCertificate(t *testing.T) {
	s, b, url := guarded(t)
	ctx := t.Context()
	admin, node := client.New(url, s.InProcess(b.Admin.TLS), "test/1"), client.New(url, s.InProcess(b.Node.TLS), "kubelet/1")
	n, err := client.Of(node, client.Nodes).Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	account, err := client.Of(admin, client.ServiceAccounts).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "default"}})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := client.Of(admin, client.Pods).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"},
		Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "i"}}, Volumes: []corev1.Volume{{Name: "tls", VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{PodCertificate: &corev1.PodCertificateProjection{
				SignerName: "example.com/mesh", KeyType: "ECDSAP256", CredentialBundlePath: "all.pem"}}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	door := client.Of(node, client.Kind[*certificatesv1.PodCertificateRequest]{GroupVersion: certificatesv1.SchemeGroupVersion, Kind: "PodCertificateRequest",
		Resource: "podcertificaterequests", Namespaced: true})
	made, err := door.Create(ctx, &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "req-"},
		Spec: certificatesv1.PodCertificateRequestSpec{SignerName: "example.com/mesh", PodName: "p", PodUID: pod.UID, ServiceAccountName: "default",
			ServiceAccountUID: account.UID, NodeName: types.NodeName("n"), NodeUID: n.UID, StubPKCS10Request: csr}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := door.Get(ctx, "default", made.Name); err != nil {
		t.Error(err)
	}
}
