package apiserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/proxy"
)

// connectProxy passes any HTTP request on to a pod, a service's endpoint or a node. The name in the URL may carry a scheme
// and a port: "https:web:8443".
func (c *call) connectProxy() error {
	var opts runtime.Object
	switch c.res.Name {
	case "pods":
		opts = &corev1.PodProxyOptions{}
	case "services":
		opts = &corev1.ServiceProxyOptions{}
	default:
		opts = &corev1.NodeProxyOptions{}
	}
	if err := c.connectOptions(opts); err != nil {
		return err
	}
	scheme, name, port, ok := utilnet.SplitSchemeNamePort(c.info.Name)
	if !ok {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid %s request %q", strings.TrimSuffix(c.res.Name, "s"), c.info.Name))
	}
	var u *url.URL
	rt, err := c.s.kubelet.plain, error(nil)
	switch c.res.Name {
	case "pods":
		u, err = c.podLocation(scheme, name, port)
	case "services":
		u, err = c.serviceLocation(scheme, name, port)
	default:
		u, rt, err = c.nodeLocation(scheme, name, port)
	}
	if err != nil {
		return err
	}
	u.Path = c.proxyPath()
	u.RawQuery = c.r.URL.RawQuery
	if _, err := url.Parse(u.String()); err != nil { // the library takes for granted that it can be read
		return apierrors.NewBadRequest(fmt.Sprintf("invalid %s request %q: %v", strings.TrimSuffix(c.res.Name, "s"), c.info.Name, err))
	}
	proxy.NewUpgradeAwareHandler(u, rt, true, false, c).ServeHTTP(c.w, c.r)
	return nil
}

// proxyPath is the rest of the URL, after ".../proxy". Where there is none, not even a slash, the proxy sends the client to
// the same path with one, so that relative links work.
func (c *call) proxyPath() string {
	if len(c.info.Parts) == 3 && !strings.HasSuffix(c.r.URL.Path, "/") {
		return ""
	}
	rest := "/" + strings.Join(c.info.Parts[3:], "/")
	if strings.HasSuffix(c.r.URL.Path, "/") && !strings.HasSuffix(rest, "/") {
		rest += "/"
	}
	return rest
}

// reachable refuses addresses that are not a pod's or node's, such as this machine's own loopback.
func reachable(host string) error {
	if a, err := netip.ParseAddr(host); err != nil || !a.IsGlobalUnicast() {
		return apierrors.NewBadRequest("address not allowed")
	}
	return nil
}

func (c *call) podLocation(scheme, name, port string) (*url.URL, error) {
	pod, err := c.pod(name)
	if err != nil {
		return nil, err
	}
	if port == "" {
		for _, ctr := range pod.Spec.Containers {
			if len(ctr.Ports) > 0 {
				port = strconv.Itoa(int(ctr.Ports[0].ContainerPort))
				break
			}
		}
	}
	if err := reachable(pod.Status.PodIP); err != nil {
		return nil, err
	}
	host := pod.Status.PodIP
	if port != "" {
		host = net.JoinHostPort(host, port)
	}
	return &url.URL{Scheme: scheme, Host: host}, nil
}

func (c *call) nodeLocation(scheme, name, port string) (*url.URL, http.RoundTripper, error) {
	u, err := c.s.kubelet.location(c.ctx(), name)
	if err != nil {
		return nil, nil, err
	}
	if port == "" || port == u.Port() {
		return u, c.s.kubelet.verify, nil
	}
	if err := reachable(u.Hostname()); err != nil {
		return nil, nil, err
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(u.Hostname(), port)}, c.s.kubelet.plain, nil
}

// serviceLocation is any ready pod behind the service's port.
func (c *call) serviceLocation(scheme, name, port string) (*url.URL, error) {
	if n, err := strconv.ParseInt(port, 10, 32); err == nil {
		if port, err = c.portName(name, int32(n)); err != nil {
			return nil, err
		}
	}
	none := apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
	list, err := c.s.objects.List(c.ctx(), schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"}, c.info.Namespace)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, obj := range list {
		slice := obj.(*discoveryv1.EndpointSlice)
		if slice.Labels[discoveryv1.LabelServiceName] == name {
			hosts = append(hosts, readyHosts(slice, port)...)
		}
	}
	if len(hosts) == 0 {
		return nil, none
	}
	return &url.URL{Scheme: scheme, Host: hosts[rand.IntN(len(hosts))]}, nil
}

// portName is the name of a service's port with this number.
func (c *call) portName(service string, number int32) (string, error) {
	obj, err := c.s.objects.Get(c.ctx(), servicesResource, c.info.Namespace, service)
	if err != nil {
		return "", err
	}
	for _, p := range obj.(*corev1.Service).Spec.Ports {
		if p.Port == number {
			return p.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, service))
}

// readyHosts are the addresses of a slice's ready pods, with the port of this name.
func readyHosts(slice *discoveryv1.EndpointSlice, port string) []string {
	number := int32(0)
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && port == "" || p.Name != nil && *p.Name == port) {
			number = *p.Port
		}
	}
	if number == 0 {
		return nil
	}
	var out []string
	for _, e := range slice.Endpoints {
		ready := e.Conditions.Ready == nil || *e.Conditions.Ready
		if !ready || len(e.Addresses) == 0 || e.TargetRef == nil || e.TargetRef.Kind != "Pod" || reachable(e.Addresses[0]) != nil {
			continue
		}
		out = append(out, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(number))))
	}
	return out
}
