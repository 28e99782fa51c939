package apiserver

import (
	"context"
	"math/rand/v2"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/apiserver/allocate"
)

// ipAllocator is upstream's name for who manages the IPAddress objects of Services.
const ipAllocator = "ipallocator.k8s.io"

var serviceCIDRsResource = schema.GroupResource{Group: "networking.k8s.io", Resource: "servicecidrs"}

func ipAddress(ip string, svc *corev1.Service) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{networkingv1.LabelIPAddressFamily: "IPv4", networkingv1.LabelManagedBy: ipAllocator}},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: svc.Namespace, Name: svc.Name}},
	}
}

// ranges are the ranges that ClusterIPs come from: those of the ServiceCIDRs that are ready, after everything that has been
// written.
func (a *addresses) ranges(ctx context.Context) ([]allocate.Range, error) {
	if _, err := a.s.cache.Fresh(ctx); err != nil {
		return nil, err
	}
	list, err := a.s.objects.List(ctx, serviceCIDRsResource, "")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return []allocate.Range{allocate.NewRange(a.prefix)}, nil
	}
	var out []allocate.Range
	for _, obj := range list {
		c := obj.(*networkingv1.ServiceCIDR)
		if c.DeletionTimestamp != nil || !cidrReady(c) {
			continue
		}
		for _, text := range c.Spec.CIDRs {
			if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() {
				out = append(out, allocate.NewRange(p))
			}
		}
	}
	return out, nil
}

// cidrReady says whether addresses of c may be given away. Without a controller that says so, they may.
func cidrReady(c *networkingv1.ServiceCIDR) bool {
	for _, cond := range c.Status.Conditions {
		if cond.Type == networkingv1.ServiceCIDRConditionReady {
			return cond.Status == metav1.ConditionTrue
		}
	}
	return true
}

// takeAny takes a free address of any range. What a try would get is not decided: it is shown a range's own address.
func (a *addresses) takeAny(ctx context.Context, svc *corev1.Service, dryRun bool) (string, error) {
	ranges, err := a.ranges(ctx)
	if err != nil {
		return "", err
	}
	if dryRun && len(ranges) > 0 {
		return ranges[0].Network().String(), nil
	}
	ips := a.s.kinds[ipAddressesResource]
	for _, r := range ranges {
		for addr := range r.Search(rand.Uint32N) {
			if _, taken := a.s.cache.Get(ips.Key("", addr.String())); taken {
				continue
			}
			err := a.record(ctx, addr.String(), svc, false)
			if apierrors.IsAlreadyExists(err) {
				continue // another server was faster
			}
			return addr.String(), err
		}
	}
	return "", allocate.ErrFull
}
