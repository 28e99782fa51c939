package kubelet

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

// renewLease says that the node lives. The object that the last renewal returned is updated; a conflict or a loss makes
// it be read again.
func (k *Kubelet) renewLease(ctx context.Context, now time.Time) error {
	leases := client.Of(k.c, client.Leases)
	stamp, length, name := metav1.NewMicroTime(now), int32(leaseLength), k.cfg.NodeName
	if k.lease == nil {
		got, err := leases.Get(ctx, corev1.NamespaceNodeLease, name)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err != nil {
			l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name,
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: k.self.node.UID}}},
				Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &length, RenewTime: &stamp}}
			k.lease, err = leases.Create(ctx, l)
			if err != nil {
				k.lease = nil
			}
			return err
		}
		k.lease = got
	}
	l := k.lease.DeepCopy()
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &name, &length, &stamp
	got, err := leases.Update(ctx, l)
	if err != nil {
		k.lease = nil
		return err
	}
	k.lease = got
	return nil
}
