package volume

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Bundles lists the cluster's trust bundles.
type Bundles func(ctx context.Context) ([]*certificatesv1.ClusterTrustBundle, error)

// fromTrustBundle projects the trust anchors of one bundle by name, or of all of a signer that a selector chooses.
func (m *Mounter) fromTrustBundle(ctx context.Context, pod *corev1.Pod, p payload, s *corev1.ClusterTrustBundleProjection, perm int32) error {
	if err := checkPath(s.Path); err != nil {
		return err
	}
	if m.Bundles == nil {
		return errors.New("this node does not follow ClusterTrustBundles")
	}
	all, err := m.Bundles(ctx)
	if err != nil {
		return fmt.Errorf("list ClusterTrustBundles: %w", err)
	}
	found, err := chooseBundles(all, s)
	if err != nil {
		return err
	}
	data, err := anchors(found)
	if err != nil {
		return err
	}
	f := file{data: data, mode: perm, owner: commonUser(pod)}
	if f.owner != nil || group(pod) != nil {
		f.mode = 0o600
	}
	p[path.Clean(s.Path)] = f
	return nil
}

// chooseBundles are those that the source names. No selector chooses none, an empty one all.
func chooseBundles(all []*certificatesv1.ClusterTrustBundle, s *corev1.ClusterTrustBundleProjection) ([]*certificatesv1.ClusterTrustBundle, error) {
	sel := labels.Nothing()
	switch {
	case s.Name != nil:
	case s.SignerName == nil:
		return nil, errors.New("ClusterTrustBundle projection requires either name or signerName to be set")
	case s.LabelSelector != nil:
		var err error
		if sel, err = metav1.LabelSelectorAsSelector(s.LabelSelector); err != nil {
			return nil, fmt.Errorf("while parsing label selector: %w", err)
		}
	}
	var found []*certificatesv1.ClusterTrustBundle
	for _, b := range all {
		if s.Name != nil && b.Name == *s.Name || s.Name == nil && b.Spec.SignerName == *s.SignerName && sel.Matches(labels.Set(b.Labels)) {
			found = append(found, b)
		}
	}
	switch {
	case len(found) > 0 || yes(s.Optional):
		return found, nil
	case s.Name != nil:
		return nil, fmt.Errorf("clustertrustbundle %q not found", *s.Name)
	}
	return nil, errors.New("combination of signerName and labelSelector matched zero ClusterTrustBundles")
}

// anchors joins the certificates of bundles, each once, sorted so that the file changes only with what it says.
func anchors(bundles []*certificatesv1.ClusterTrustBundle) ([]byte, error) {
	var all [][]byte
	for _, b := range bundles {
		for rest := []byte(b.Spec.TrustBundle); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return nil, fmt.Errorf("trust bundle %s: %w", b.Name, err)
			}
			all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}))
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(slices.CompactFunc(all, bytes.Equal), nil), nil
}
