package volume

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Certificates asks for certificates of pods. Create fills in who asks, of the pod's service account and the node. Whoever
// implements it has Setup called again when a request changes.
type Certificates interface {
	Create(ctx context.Context, pod *corev1.Pod, r *certificatesv1.PodCertificateRequest) (*certificatesv1.PodCertificateRequest, error)
	Get(ctx context.Context, ns, name string) (*certificatesv1.PodCertificateRequest, error)
}

// certificate is what one source of a pod has: a key with its chain, and a request under way for the first or the next.
//
//	nothing -> requested -> issued -> (renew) requested while the old one is shown -> issued ...
type certificate struct {
	key, chain []byte
	renew      time.Time
	next       []byte // key of the request
	request    string
}

var errNotIssued = errors.New("credential bundle is not issued yet")

// fromPodCertificate projects a key that is made here and the certificate that a signer makes of it.
func (m *Mounter) fromPodCertificate(ctx context.Context, pod *corev1.Pod, volume string, i int, p payload, s *corev1.PodCertificateProjection, perm int32) error {
	if m.Certificates == nil {
		return errors.New("this node does not request certificates of pods")
	}
	at := tokenKey{pod.UID, volume, i}
	m.mu.Lock()
	c := m.certs[at]
	m.mu.Unlock()
	c, err := m.advance(ctx, pod, c, s)
	m.mu.Lock()
	m.certs[at] = c
	m.mu.Unlock()
	if len(c.chain) == 0 {
		return errors.Join(err, errNotIssued)
	}
	user := commonUser(pod)
	for name, data := range map[string][]byte{s.CredentialBundlePath: slices.Concat(c.key, c.chain), s.KeyPath: c.key, s.CertificateChainPath: c.chain} {
		if name == "" {
			continue
		}
		if err := checkPath(name); err != nil {
			return err
		}
		f := file{data: data, mode: perm, owner: user}
		if user != nil || group(pod) != nil {
			f.mode = 0o600
		}
		p[path.Clean(name)] = f
	}
	return nil
}

// advance takes the next step of a certificate's life.
func (m *Mounter) advance(ctx context.Context, pod *corev1.Pod, c certificate, s *corev1.PodCertificateProjection) (certificate, error) {
	if c.request == "" {
		if len(c.chain) > 0 && m.now().Before(c.renew) {
			return c, nil
		}
		key, csr, err := newKey(s.KeyType)
		if err != nil {
			return c, err
		}
		r := &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, GenerateName: "req-",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}},
			Spec: certificatesv1.PodCertificateRequestSpec{SignerName: s.SignerName, PodName: pod.Name, PodUID: pod.UID,
				ServiceAccountName: pod.Spec.ServiceAccountName, MaxExpirationSeconds: s.MaxExpirationSeconds, StubPKCS10Request: csr,
				UnverifiedUserAnnotations: s.UserAnnotations}}
		got, err := m.Certificates.Create(ctx, pod, r)
		if err != nil {
			return c, fmt.Errorf("while creating PodCertificateRequest: %w", err)
		}
		c.next, c.request = key, got.Name
		c.renew = time.Time{}
	}
	r, err := m.Certificates.Get(ctx, pod.Namespace, c.request)
	if apierrors.IsNotFound(err) {
		gone := pod.Namespace + "/" + c.request
		c.request, c.next = "", nil
		return c, fmt.Errorf("PodCertificateRequest %q appears to have been deleted", gone)
	}
	if err != nil {
		return c, err
	}
	for _, cond := range r.Status.Conditions {
		switch {
		case cond.Status != metav1.ConditionTrue:
		case cond.Type == certificatesv1.PodCertificateRequestConditionTypeDenied:
			return c, fmt.Errorf("PodCertificateRequest was permanently denied: reason=%q message=%q", cond.Reason, cond.Message)
		case cond.Type == certificatesv1.PodCertificateRequestConditionTypeFailed:
			return c, fmt.Errorf("PodCertificateRequest was permanently failed: reason=%q message=%q", cond.Reason, cond.Message)
		case cond.Type == certificatesv1.PodCertificateRequestConditionTypeIssued && r.Status.CertificateChain != "":
			return issued(c, r), nil
		}
	}
	return c, nil
}

// issued takes the chain over. It is renewed when the signer says, or after two thirds of its life.
func issued(c certificate, r *certificatesv1.PodCertificateRequest) certificate {
	out := certificate{key: c.next, chain: []byte(r.Status.CertificateChain)}
	switch {
	case r.Status.BeginRefreshAt != nil:
		out.renew = r.Status.BeginRefreshAt.Time
	case r.Status.NotBefore != nil && r.Status.NotAfter != nil:
		out.renew = r.Status.NotBefore.Add(r.Status.NotAfter.Sub(r.Status.NotBefore.Time) * 2 / 3)
	}
	return out
}

// newKey makes a key of the type that the API names, and a request that proves that it is had.
func newKey(kind string) (keyPEM, csr []byte, err error) {
	var key crypto.Signer
	switch kind {
	case "RSA3072":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "RSA4096":
		key, err = rsa.GenerateKey(rand.Reader, 4096)
	case "ECDSAP256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ECDSAP384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ECDSAP521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ED25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("unknown key type %q", kind)
	}
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), csr, err
}
