package apiserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/allocate"
	"minato.dev/minato/internal/store"
)

// addresses gives Services their ClusterIPs and node ports. The truth is in the Services: load derives the pools from
// them, and makes one IPAddress object for each ClusterIP, as upstream's allocator does.
type addresses struct {
	s      *Server
	prefix netip.Prefix
	first  netip.Addr // the address after the network's
	ips    *allocate.Pool
	ports  allocate.Ports
}

var (
	servicesResource    = schema.GroupResource{Resource: "services"}
	ipAddressesResource = schema.GroupResource{Group: "networking.k8s.io", Resource: "ipaddresses"}
)

func newAddresses(s *Server) (*addresses, error) {
	p, np := s.cfg.ServiceCIDR.Masked(), s.cfg.NodePorts
	if !p.Addr().Is4() || p.Bits() > 29 || p.Bits() < 8 {
		return nil, fmt.Errorf("apiserver: service CIDR %s: must be an IPv4 range between /8 and /29", p)
	}
	if np.First < 1 || np.Last > 65535 || np.Last < np.First {
		return nil, fmt.Errorf("apiserver: node ports %d-%d: not a range of ports", np.First, np.Last)
	}
	size := 1 << (32 - p.Bits())
	ports := int(np.Last-np.First) + 1
	a := &addresses{s: s, prefix: p, first: p.Addr().Next()}
	a.ips = allocate.NewPool(size-2, allocate.Static(size, 16, 256, 16), rand.IntN)
	a.ports = allocate.Ports{First: np.First, Last: np.Last, Pool: allocate.NewPool(ports, allocate.Static(ports, 16, 128, 32), rand.IntN)}
	return a, nil
}

// load derives the pools from the stored Services.
func (a *addresses) load() error {
	ctx := a.s.running.Load().scope.Context()
	if _, err := a.s.cache.Fresh(ctx); err != nil {
		return err
	}
	list, err := a.s.objects.List(ctx, servicesResource, "")
	if err != nil {
		return err
	}
	var ips, ports []int
	owners := map[string]*corev1.Service{}
	for _, obj := range list {
		svc := obj.(*corev1.Service)
		for _, ip := range held(svc) {
			owners[ip] = svc
			if n, ok := a.number(ip); ok {
				ips = append(ips, n)
			}
		}
		for _, p := range allocate.Held(svc) {
			ports = append(ports, int(p-a.ports.First))
		}
	}
	a.ips.Reset(ips)
	a.ports.Pool.Reset(ports)
	return a.repair(ctx, owners)
}

// repair makes the IPAddress objects agree with the Services.
func (a *addresses) repair(ctx context.Context, owners map[string]*corev1.Service) error {
	list, err := a.s.objects.List(ctx, ipAddressesResource, "")
	if err != nil {
		return err
	}
	for _, obj := range list {
		ip := obj.(*networkingv1.IPAddress)
		if ip.Labels[networkingv1.LabelManagedBy] != ipAllocator {
			continue
		}
		if owners[ip.Name] == nil {
			a.drop(ctx, ip.Name)
		}
		delete(owners, ip.Name)
	}
	for ip, svc := range owners {
		if err := a.s.objects.Create(ctx, ipAddressesResource, ipAddress(ip, svc)); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("ClusterIP %s of service %s/%s: %w", ip, svc.Namespace, svc.Name, err)
		}
	}
	return nil
}

// ipAllocator is upstream's name for who manages the IPAddress objects of Services.
const ipAllocator = "ipallocator.k8s.io"

func ipAddress(ip string, svc *corev1.Service) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{networkingv1.LabelIPAddressFamily: "IPv4", networkingv1.LabelManagedBy: ipAllocator}},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: svc.Namespace, Name: svc.Name}},
	}
}

// held are the ClusterIPs of a Service.
func held(svc *corev1.Service) []string {
	if !allocate.NeedsIP(svc) {
		return nil
	}
	return svc.Spec.ClusterIPs
}

// number is an address's place in the pool.
func (a *addresses) number(ip string) (int, bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || !a.prefix.Contains(addr) {
		return 0, false
	}
	n := int(value(addr)) - int(value(a.first))
	return n, n >= 0
}

func (a *addresses) address(n int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], value(a.first)+uint32(n))
	return netip.AddrFrom4(b).String()
}

func value(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// create allocates for a new object. done(true) keeps what was allocated, done(false) gives it back if nothing has kept it.
func (a *addresses) create(c *call, obj api.Object, dryRun bool) (api.Object, func(bool), error) {
	svc, ok := obj.(*corev1.Service)
	if !ok {
		return obj, func(bool) {}, nil
	}
	allocate.Normalize(svc, nil)
	return a.allocate(c, svc, nil, dryRun)
}

// update allocates for a changed object, as create does; done(true) also gives back what the new state no longer holds.
func (a *addresses) update(c *call, obj, old api.Object, dryRun bool) (api.Object, func(bool), error) {
	svc, ok := obj.(*corev1.Service)
	if !ok || c.info.Subresource != "" {
		return obj, func(bool) {}, nil
	}
	was := old.(*corev1.Service)
	allocate.Inherit(svc, was)
	allocate.Normalize(svc, was)
	return a.allocate(c, svc, was, dryRun)
}

func (a *addresses) allocate(c *call, svc, old *corev1.Service, dryRun bool) (api.Object, func(bool), error) {
	if err := allocate.Families(svc, old, corev1.IPv4Protocol); err != nil {
		return nil, nil, err
	}
	ctx := c.ctx()
	ip, err := a.takeIP(ctx, svc, old, dryRun)
	if err != nil {
		return nil, nil, err
	}
	ports, gone, err := a.ports.Take(svc, old)
	if err != nil {
		a.freeIP(ctx, ip, dryRun)
		return nil, nil, err
	}
	var lost []string
	if old != nil && !allocate.NeedsIP(svc) {
		lost = held(old)
	}
	finished := false
	return svc, func(kept bool) {
		if finished {
			return
		}
		finished = true
		ctx := context.WithoutCancel(ctx)
		if !kept {
			a.ports.Free(ports)
			a.freeIP(ctx, ip, dryRun)
			return
		}
		a.ports.Free(gone)
		for _, ip := range lost {
			a.freeIP(ctx, ip, false)
		}
	}, nil
}

// takeIP gives svc its ClusterIP where it needs one that old has not. It returns what it took, "" for nothing.
func (a *addresses) takeIP(ctx context.Context, svc, old *corev1.Service, dryRun bool) (string, error) {
	if !allocate.NeedsIP(svc) || old != nil && old.Spec.Type != corev1.ServiceTypeExternalName {
		return "", nil
	}
	want := svc.Spec.ClusterIP
	if want == "" && len(svc.Spec.ClusterIPs) > 0 {
		want = svc.Spec.ClusterIPs[0]
	}
	if want != "" {
		if _, err := netip.ParseAddr(want); err != nil {
			return "", nil // validation tells
		}
		return want, a.takeNamed(ctx, svc, want, dryRun)
	}
	for {
		n, err := a.ips.Next()
		if err != nil {
			return "", apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP for Service %q: %w", svc.Name, err))
		}
		ip := a.address(n)
		err = a.record(ctx, ip, svc, dryRun)
		if apierrors.IsAlreadyExists(err) {
			continue // another server's; it stays taken here
		}
		if err != nil {
			a.ips.Free(n)
			return "", err
		}
		svc.Spec.ClusterIP, svc.Spec.ClusterIPs = ip, []string{ip}
		return ip, nil
	}
}

func (a *addresses) takeNamed(ctx context.Context, svc *corev1.Service, ip string, dryRun bool) error {
	n, ok := a.number(ip)
	err := allocate.ErrOutside
	if ok {
		err = a.ips.Take(n)
	}
	if err == nil {
		if err = a.record(ctx, ip, svc, dryRun); err != nil {
			a.ips.Free(n)
		}
	}
	text := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, allocate.ErrOutside):
		text = fmt.Sprintf("the provided IP (%v) is not in the valid range. The range of valid IPs is %s", ip, a.prefix)
	case errors.Is(err, allocate.ErrTaken), apierrors.IsAlreadyExists(err):
		text = "provided IP is already allocated"
	default:
		return err
	}
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, svc.Name, field.ErrorList{field.Invalid(field.NewPath("spec", "clusterIPs"),
		[]string{ip}, fmt.Sprintf("failed to allocate IP %v: %s", ip, text))})
}

// record makes the IPAddress object, which no other server can make as well.
func (a *addresses) record(ctx context.Context, ip string, svc *corev1.Service, dryRun bool) error {
	if dryRun {
		return nil
	}
	return a.s.objects.Create(ctx, ipAddressesResource, ipAddress(ip, svc))
}

func (a *addresses) freeIP(ctx context.Context, ip string, dryRun bool) {
	n, ok := a.number(ip)
	if !ok {
		return
	}
	if !dryRun {
		a.drop(ctx, ip)
	}
	a.ips.Free(n)
}

// drop deletes an IPAddress object; what cannot be deleted now, the next start repairs.
func (a *addresses) drop(ctx context.Context, ip string) {
	key := a.s.kinds[ipAddressesResource].Key("", ip)
	if _, err := a.s.store.Delete(ctx, key, store.AnyRevision); err != nil && !errors.Is(err, store.ErrNotFound) {
		a.s.log.Warn("IPAddress not deleted", "ip", ip, "err", err)
	}
}

// release gives back what a deleted object held.
func (a *addresses) release(ctx context.Context, obj api.Object) {
	svc, ok := obj.(*corev1.Service)
	if !ok {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for _, ip := range held(svc) {
		a.freeIP(ctx, ip, false)
	}
	a.ports.Free(slices.Clone(allocate.Held(svc)))
}
