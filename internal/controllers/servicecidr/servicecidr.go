// Package servicecidr keeps a range of Service addresses until nothing has an address of it any more, and says of each
// whether addresses may be taken from it (KEP-1880).
package servicecidr

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

const finalizer = "networking.k8s.io/service-cidr-finalizer"

// grace outlasts a request that has read a range as open a moment before it was deleted, and takes an address of it.
const grace = 2 * time.Second

type controller struct {
	c         *client.Client
	cidrs     *client.View[*networkingv1.ServiceCIDR]
	addresses *client.View[*networkingv1.IPAddress]
}

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	c := &controller{vs.Client(), client.ViewOf(vs, client.ServiceCIDRs), client.ViewOf(vs, client.IPAddresses)}
	return control.Controller{
		Name: "service-cidrs",
		Sources: []control.Source{
			control.On(c.cidrs, func(_, _ *networkingv1.ServiceCIDR) []control.Key { return c.related() }),
			control.On(c.addresses, func(_, now *networkingv1.IPAddress) []control.Key {
				if now != nil {
					return nil // one more address lets nothing go
				}
				return c.leaving()
			}),
		},
		Writes:    []string{"servicecidrs.networking.k8s.io:protection", "servicecidrs.networking.k8s.io/status:ready"},
		Reconcile: c.reconcile,
	}
}

// related are all: a new range may cover the addresses of one that leaves.
func (c *controller) related() (keys []control.Key) {
	for _, r := range c.cidrs.List("", nil) {
		keys = append(keys, control.Key{Name: r.Name})
	}
	return keys
}

func (c *controller) leaving() (keys []control.Key) {
	for _, r := range c.cidrs.List("", nil) {
		if r.DeletionTimestamp != nil {
			keys = append(keys, control.Key{Name: r.Name})
		}
	}
	return keys
}

func (c *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	r, ok := c.cidrs.Get("", k.Name)
	if !ok {
		return control.Result{}, nil
	}
	if r.DeletionTimestamp != nil {
		return c.leave(ctx, r)
	}
	if !slices.Contains(r.Finalizers, finalizer) {
		r = r.DeepCopy()
		r.Finalizers = append(r.Finalizers, finalizer)
		var err error
		if r, err = client.Of(c.c, client.ServiceCIDRs).Update(ctx, r); err != nil {
			return control.Result{}, ignoreGone(err)
		}
	}
	if meta.FindStatusCondition(r.Status.Conditions, networkingv1.ServiceCIDRConditionReady) != nil {
		return control.Result{}, nil
	}
	return control.Result{}, c.say(ctx, r, metav1.Condition{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue,
		Message: "Kubernetes Service CIDR is ready"})
}

// leave lets go of a range that is to be deleted once no address is left without another range.
func (c *controller) leave(ctx context.Context, r *networkingv1.ServiceCIDR) (control.Result, error) {
	if !slices.Contains(r.Finalizers, finalizer) {
		return control.Result{}, nil
	}
	if left := grace - time.Since(r.DeletionTimestamp.Time); left > 0 {
		return control.Result{After: left}, nil
	}
	addresses, _, err := client.Of(c.c, client.IPAddresses).List(ctx, "", metav1.ListOptions{}) // the newest: the view may lag
	if err != nil {
		return control.Result{}, err
	}
	if needed(r, c.cidrs.List("", nil), addresses) {
		return control.Result{}, c.say(ctx, r, metav1.Condition{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionFalse,
			Reason:  networkingv1.ServiceCIDRReasonTerminating,
			Message: "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"})
	}
	r = r.DeepCopy()
	r.Finalizers = slices.DeleteFunc(r.Finalizers, func(f string) bool { return f == finalizer })
	_, err = client.Of(c.c, client.ServiceCIDRs).Update(ctx, r)
	return control.Result{}, ignoreGone(err)
}

func (c *controller) say(ctx context.Context, r *networkingv1.ServiceCIDR, cond metav1.Condition) error {
	said := r.DeepCopy()
	meta.SetStatusCondition(&said.Status.Conditions, cond)
	if equality.Semantic.DeepEqual(said.Status, r.Status) {
		return nil
	}
	_, err := client.Of(c.c, client.ServiceCIDRs).UpdateStatus(ctx, said)
	return ignoreGone(err)
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// needed says whether an address lies in r and in no other range that stays.
func needed(r *networkingv1.ServiceCIDR, all []*networkingv1.ServiceCIDR, addresses []*networkingv1.IPAddress) bool {
	own := prefixes(r)
	var others []netip.Prefix
	for _, o := range all {
		if o.UID != r.UID && o.DeletionTimestamp == nil {
			others = append(others, prefixes(o)...)
		}
	}
	return slices.ContainsFunc(addresses, func(a *networkingv1.IPAddress) bool {
		ip, err := netip.ParseAddr(a.Name)
		return err == nil && contain(own, ip) && !contain(others, ip)
	})
}

func prefixes(r *networkingv1.ServiceCIDR) (list []netip.Prefix) {
	for _, text := range r.Spec.CIDRs {
		if p, err := netip.ParsePrefix(text); err == nil { // validated by the API server
			list = append(list, p)
		}
	}
	return list
}

func contain(list []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}
