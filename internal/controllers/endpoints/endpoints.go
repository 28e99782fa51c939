// Package endpoints keeps the older Endpoints object of each Service with a selector, for clients that still read it.
//
// Rules are upstream's: at most 1,000 addresses, ready and not ready apart, subsets by their ports.
package endpoints

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/endpointslice"
	"minato.dev/minato/internal/controllers/pods"
)

// managedBy marks the objects that this controller writes; overCapacity marks a cut list.
const (
	managedBy    = "endpoints.kubernetes.io/managed-by"
	manager      = "endpoint-controller"
	overCapacity = "endpoints.kubernetes.io/over-capacity"
	maxAddresses = 1000
)

type controller struct {
	c        *client.Client
	services *client.View[*corev1.Service]
	pods     *client.View[*corev1.Pod]
	objects  *client.View[*corev1.Endpoints]
}

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	e := &controller{c: vs.Client(), services: client.ViewOf(vs, client.Services), pods: client.ViewOf(vs, client.Pods),
		objects: client.ViewOf(vs, client.Endpoints)}
	return control.Controller{
		Name: "endpoints", Workers: 2,
		Sources: []control.Source{control.Self(e.services), control.Self(e.objects), control.On(e.pods, func(old, new *corev1.Pod) []control.Key {
			return endpointslice.ServicesOf(e.services, old, new)
		})},
		Writes:    []string{"endpoints"},
		Reconcile: e.reconcile,
	}
}

func (e *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	door := client.Of(e.c, client.Endpoints)
	svc, ok := e.services.Get(k.Namespace, k.Name)
	have, exists := e.objects.Get(k.Namespace, k.Name)
	if !ok {
		if !exists || have.Labels[managedBy] != manager {
			return control.Result{}, nil
		}
		err := door.Delete(ctx, k.Namespace, k.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &have.UID}})
		return control.Result{}, ignore(err, apierrors.IsNotFound, apierrors.IsConflict)
	}
	if len(svc.Spec.Selector) == 0 {
		return control.Result{}, nil
	}
	want := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name}}
	if exists {
		want = have.DeepCopy()
	}
	build(want, svc, e.pods.List(k.Namespace, labels.SelectorFromValidatedSet(svc.Spec.Selector)))
	var err error
	switch {
	case !exists:
		want, err = door.Create(ctx, want)
	case !equality.Semantic.DeepEqual(want, have):
		want, err = door.Update(ctx, want)
	default:
		return control.Result{}, nil
	}
	if err != nil {
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return control.Result{}, nil
		}
		return control.Result{}, fmt.Errorf("write Endpoints: %w", err)
	}
	return control.Result{}, e.objects.WaitFor(ctx, want.ResourceVersion)
}

func ignore(err error, fine ...func(error) bool) error {
	for _, f := range fine {
		if f(err) {
			return nil
		}
	}
	return err
}

// build fills o for svc and its pods. It is pure.
func build(o *corev1.Endpoints, svc *corev1.Service, selected []*corev1.Pod) {
	if o.Labels == nil {
		o.Labels = map[string]string{}
	}
	for k, v := range svc.Labels {
		o.Labels[k] = v
	}
	o.Labels[managedBy] = manager
	delete(o.Labels, corev1.IsHeadlessService)
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		o.Labels[corev1.IsHeadlessService] = ""
	}
	slices.SortFunc(selected, func(a, b *corev1.Pod) int { return cmp.Compare(a.Status.PodIP, b.Status.PodIP) })
	subsets := map[string]*corev1.EndpointSubset{}
	var order []string
	n := 0
	delete(o.Annotations, overCapacity)
	for _, p := range selected {
		ready := svc.Spec.PublishNotReadyAddresses || pods.Ready(p)
		if p.Status.PodIP == "" || pods.Ended(p) || p.DeletionTimestamp != nil && !svc.Spec.PublishNotReadyAddresses {
			continue
		}
		if n++; n > maxAddresses {
			if o.Annotations == nil {
				o.Annotations = map[string]string{}
			}
			o.Annotations[overCapacity] = "truncated"
			break
		}
		ports := portsOf(svc, p)
		key := fmt.Sprint(ports)
		if subsets[key] == nil {
			subsets[key] = &corev1.EndpointSubset{Ports: ports}
			order = append(order, key)
		}
		s := subsets[key]
		if ready {
			s.Addresses = append(s.Addresses, address(svc, p))
		} else {
			s.NotReadyAddresses = append(s.NotReadyAddresses, address(svc, p))
		}
	}
	o.Subsets = nil
	slices.Sort(order)
	for _, key := range order {
		o.Subsets = append(o.Subsets, *subsets[key])
	}
}

func address(svc *corev1.Service, p *corev1.Pod) corev1.EndpointAddress {
	a := corev1.EndpointAddress{IP: p.Status.PodIP, NodeName: &p.Spec.NodeName,
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}}
	if p.Spec.Hostname != "" && p.Spec.Subdomain == svc.Name {
		a.Hostname = p.Spec.Hostname
	}
	return a
}

func portsOf(svc *corev1.Service, p *corev1.Pod) (out []corev1.EndpointPort) {
	for i := range svc.Spec.Ports {
		sp := &svc.Spec.Ports[i]
		if n, ok := endpointslice.TargetPort(sp, p); ok {
			out = append(out, corev1.EndpointPort{Name: sp.Name, Port: n, Protocol: sp.Protocol, AppProtocol: sp.AppProtocol})
		}
	}
	return out
}
