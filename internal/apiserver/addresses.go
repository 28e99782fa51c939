package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/allocate"
	"minato.dev/minato/internal/store"
)

// addresses gives Services their ClusterIPs and node ports. Who has which ClusterIP is told by IPAddress objects, of which
// no two servers can make the same one; the ranges are those of the ServiceCIDRs.
type addresses struct {
	s      *Server
	prefix netip.Prefix // where there is no ServiceCIDR
	ports  *nodePorts
}

var (
	servicesResource    = schema.GroupResource{Resource: "services"}
	ipAddressesResource = schema.GroupResource{Group: "networking.k8s.io", Resource: "ipaddresses"}
)

func newAddresses(s *Server) (*addresses, error) {
	p := s.cfg.ServiceCIDR.Masked()
	if !p.Addr().Is4() || p.Bits() > 29 || p.Bits() < 8 {
		return nil, fmt.Errorf("apiserver: service CIDR %s: must be an IPv4 range between /8 and /29", p)
	}
	ports, err := newNodePorts(s)
	return &addresses{s: s, prefix: p, ports: ports}, err
}

// services are all stored Services.
func (s *Server) services(ctx context.Context) ([]*corev1.Service, error) {
	if _, err := s.cache.Fresh(ctx); err != nil {
		return nil, err
	}
	list, err := s.objects.List(ctx, servicesResource, "")
	if err != nil {
		return nil, err
	}
	out := make([]*corev1.Service, len(list))
	for i, obj := range list {
		out[i] = obj.(*corev1.Service)
	}
	return out, nil
}

// load makes what is allocated agree with the stored Services.
func (a *addresses) load() error {
	ctx := a.s.running.Load().scope.Context()
	list, err := a.s.services(ctx)
	if err != nil {
		return err
	}
	owners := map[string]*corev1.Service{}
	for _, svc := range list {
		for _, ip := range held(svc) {
			owners[ip] = svc
		}
	}
	if err := a.ports.load(ctx, list); err != nil {
		return err
	}
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
		// Where others write too, the Service may be on its way; the next start looks again.
		if owners[ip.Name] == nil && a.s.cfg.SoleWriter {
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

// held are the ClusterIPs of a Service.
func held(svc *corev1.Service) []string {
	if !allocate.NeedsIP(svc) {
		return nil
	}
	return svc.Spec.ClusterIPs
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
	if errs := api.ServiceAddressErrors(svc, old); len(errs) > 0 {
		return nil, nil, apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, svc.Name, errs)
	}
	if err := allocate.Families(svc, old, corev1.IPv4Protocol); err != nil {
		return nil, nil, err
	}
	ctx := c.ctx()
	ip, err := a.takeIP(ctx, svc, old, dryRun)
	if err != nil {
		return nil, nil, err
	}
	ports, gone, err := a.takePorts(ctx, svc, old, dryRun)
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
			a.ports.free(ctx, ports)
			a.freeIP(ctx, ip, dryRun)
			return
		}
		a.ports.free(ctx, gone)
		for _, ip := range lost {
			a.freeIP(ctx, ip, false)
		}
	}, nil
}

// takePorts gives svc its node ports. It returns those that it took and those that svc no longer holds, neither for a try.
func (a *addresses) takePorts(ctx context.Context, svc, old *corev1.Service, dryRun bool) (taken, gone []int32, err error) {
	if len(allocate.Held(svc)) == 0 && len(allocate.Held(old)) == 0 && !allocate.NeedsPorts(svc) && !allocate.NeedsHealthPort(svc) {
		return nil, nil, nil
	}
	wish := svc.Spec.DeepCopy()
	take := func(r *allocate.Ports) (err error) {
		wish.DeepCopyInto(&svc.Spec)
		taken, gone, err = r.Take(svc, old)
		return err
	}
	if dryRun {
		return nil, nil, a.ports.guess(take)
	}
	err = a.ports.change(ctx, take)
	return taken, gone, err
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
	ip, err := a.takeAny(ctx, svc, dryRun)
	if err != nil {
		return "", apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP for Service %q: %w", svc.Name, err))
	}
	svc.Spec.ClusterIP, svc.Spec.ClusterIPs = ip, []string{ip}
	return ip, nil
}

// errNotOurs is upstream's for an address in none of the ranges.
var errNotOurs = errors.New("the provided network does not match the current range")

func (a *addresses) takeNamed(ctx context.Context, svc *corev1.Service, ip string, dryRun bool) error {
	ranges, err := a.ranges(ctx)
	if err != nil {
		return err
	}
	err = errNotOurs
	if dryRun && len(ranges) > 0 {
		err = fmt.Errorf("the provided IP (%v) is not in the valid range. The range of valid IPs is %s", ip, ranges[0])
	}
	for _, r := range ranges {
		if addr, e := netip.ParseAddr(ip); e == nil && r.Has(addr) {
			err = a.record(ctx, ip, svc, dryRun)
			break
		}
	}
	text := ""
	switch {
	case err == nil:
		return nil
	case apierrors.IsAlreadyExists(err):
		text = "provided IP is already allocated"
	case errors.Is(err, errNotOurs), dryRun:
		text = err.Error()
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
	if ip != "" && !dryRun {
		a.drop(ctx, ip)
	}
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
	a.ports.free(ctx, slices.Clone(allocate.Held(svc)))
}
