package kubelet

import (
	"context"
	"fmt"
	"sync"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

var (
	trustBundles        = client.Kind[*certificatesv1.ClusterTrustBundle]{GroupVersion: certificatesv1.SchemeGroupVersion, Kind: "ClusterTrustBundle", Resource: "clustertrustbundles"}
	certificateRequests = client.Kind[*certificatesv1.PodCertificateRequest]{GroupVersion: certificatesv1.SchemeGroupVersion, Kind: "PodCertificateRequest", Resource: "podcertificaterequests", Namespaced: true}
	serviceAccounts     = client.Kind[*corev1.ServiceAccount]{GroupVersion: corev1.SchemeGroupVersion, Kind: "ServiceAccount", Resource: "serviceaccounts", Namespaced: true}
)

// certificates serve the two sources of projected volumes that have to do with them. Their watches begin with the first
// pod that needs them.
type certificates struct {
	k *Kubelet

	once     sync.Once
	bundles  *client.View[*certificatesv1.ClusterTrustBundle]
	asked    sync.Once
	requests *client.View[*certificatesv1.PodCertificateRequest]
}

// Bundles lists the cluster's trust bundles; a change of one brings the volumes that show any up to date.
func (c *certificates) Bundles(ctx context.Context) ([]*certificatesv1.ClusterTrustBundle, error) {
	c.once.Do(func() {
		c.bundles = client.ViewOf(c.k.views, trustBundles)
		c.bundles.OnChange(func(_, _ *certificatesv1.ClusterTrustBundle) {
			for _, w := range c.k.all() {
				w.mu.Lock()
				shows := projects(w.next, func(s *corev1.VolumeProjection) bool { return s.ClusterTrustBundle != nil })
				w.mu.Unlock()
				if shows {
					w.note(func() { w.refresh = true })
				}
			}
		})
	})
	if err := c.bundles.WaitSynced(ctx); err != nil {
		return nil, err
	}
	return c.bundles.List("", nil), nil
}

func projects(pod *corev1.Pod, is func(*corev1.VolumeProjection) bool) bool {
	for i := range pod.Spec.Volumes {
		if p := pod.Spec.Volumes[i].Projected; p != nil {
			for j := range p.Sources {
				if is(&p.Sources[j]) {
					return true
				}
			}
		}
	}
	return false
}

// Create implements volume.Certificates.
func (c *certificates) Create(ctx context.Context, pod *corev1.Pod, r *certificatesv1.PodCertificateRequest) (*certificatesv1.PodCertificateRequest, error) {
	c.follow()
	account, err := client.Of(c.k.c, serviceAccounts).Get(ctx, pod.Namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return nil, fmt.Errorf("while fetching service account: %w", err)
	}
	node := c.k.shown.Load()
	if node == nil {
		return nil, fmt.Errorf("node %s is not registered yet", c.k.cfg.NodeName)
	}
	r.Spec.ServiceAccountUID, r.Spec.NodeName, r.Spec.NodeUID = account.UID, types.NodeName(node.Name), node.UID
	return client.Of(c.k.c, certificateRequests).Create(ctx, r)
}

// Get implements volume.Certificates.
func (c *certificates) Get(ctx context.Context, ns, name string) (*certificatesv1.PodCertificateRequest, error) {
	return client.Of(c.k.c, certificateRequests).Get(ctx, ns, name)
}

// follow wakes the worker of a pod whose request a signer has answered.
func (c *certificates) follow() {
	c.asked.Do(func() {
		c.requests = client.SelectedViewOf(c.k.views, certificateRequests, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", c.k.cfg.NodeName).String()})
		c.requests.OnChange(func(_, now *certificatesv1.PodCertificateRequest) {
			if now == nil {
				return
			}
			if w := c.k.worker(now.Spec.PodUID); w != nil {
				w.note(func() { w.refresh = true })
			}
		})
	})
}
