package webhook

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// endpoint is the address of one ready endpoint behind a Service's port. Endpoints are asked themselves, and not the Service's
// address: the API server has to reach webhooks before anything on its machine forwards to Services.
func (c *callers) endpoint(ctx context.Context, namespace, name string, port int32) (string, error) {
	o, err := c.objects.Get(ctx, corev1.Resource("services"), namespace, name)
	if err != nil {
		return "", err
	}
	svc, ok := o.(*corev1.Service)
	if !ok {
		return "", fmt.Errorf("service %s/%s is stored as %T", namespace, name, o)
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return net.JoinHostPort(svc.Spec.ExternalName, strconv.Itoa(int(port))), nil
	}
	list, err := c.objects.List(ctx, discoveryv1.Resource("endpointslices"), namespace)
	if err != nil {
		return "", err
	}
	for _, p := range svc.Spec.Ports {
		if p.Port != port {
			continue
		}
		var hosts []string
		for _, o := range list {
			if s, ok := o.(*discoveryv1.EndpointSlice); ok && s.Labels[discoveryv1.LabelServiceName] == name {
				hosts = append(hosts, ready(s, p.Name)...)
			}
		}
		if len(hosts) == 0 {
			return "", fmt.Errorf("no endpoints available for service %q", name)
		}
		return hosts[rand.IntN(len(hosts))], nil
	}
	return "", fmt.Errorf("no service port %d found for service %q", port, name)
}

// ready are the ready endpoints of a slice, at the port of this name.
func ready(s *discoveryv1.EndpointSlice, port string) (out []string) {
	for _, p := range s.Ports {
		if p.Port == nil || or(p.Name, "") != port {
			continue
		}
		for _, e := range s.Endpoints {
			if or(e.Conditions.Ready, true) && len(e.Addresses) > 0 {
				out = append(out, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*p.Port))))
			}
		}
	}
	return out
}
