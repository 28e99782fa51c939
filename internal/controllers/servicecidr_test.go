package controllers_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

func TestServiceRangeStaysWhileInUse(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	cidrs, services := client.Of(h.c, client.ServiceCIDRs), client.Of(h.c, client.Services)
	_, err := cidrs.Create(ctx, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.211.0.0/28"}}})
	h.must(err)
	ready := func(want metav1.ConditionStatus, reason string) func() (bool, string) {
		return func() (bool, string) {
			r, err := cidrs.Get(ctx, "", "more")
			h.must(err)
			c := meta.FindStatusCondition(r.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
			return slices.Contains(r.Finalizers, "networking.k8s.io/service-cidr-finalizer") && c != nil && c.Status == want && c.Reason == reason, r.Status.String()
		}
	}
	h.until("the range is open", ready(metav1.ConditionTrue, ""))
	_, err = services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"},
		Spec: corev1.ServiceSpec{ClusterIP: "10.211.0.5", Ports: []corev1.ServicePort{{Port: 80}}}})
	h.must(err)
	h.must(cidrs.Delete(ctx, "", "more", metav1.DeleteOptions{}))
	h.until("the range says why it stays", ready(metav1.ConditionFalse, networkingv1.ServiceCIDRReasonTerminating))
	h.must(services.Delete(ctx, "default", "s", metav1.DeleteOptions{}))
	h.until("the range goes", func() (bool, string) {
		_, err := cidrs.Get(ctx, "", "more")
		return apierrors.IsNotFound(err), "still there"
	})
}
