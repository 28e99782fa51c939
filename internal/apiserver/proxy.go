package apiserver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
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
	if _, err := url.Parse(u.String()); err != nil { // the library takes for granted that it can be read
		return apierrors.NewBadRequest(fmt.Sprintf("invalid %s request %q: %v", strings.TrimSuffix(c.res.Name, "s"), c.info.Name, err))
	}
	proxy.NewUpgradeAwareHandler(u, rt, true, false, c).ServeHTTP(c.w, c.r)
	return nil
}

// proxyPath is the rest of the URL, after ".../proxy", without double slashes and dots. Where there is none, not even a slash, the
// proxy sends the client to the same path with one, so that relative links work.
func (c *call) proxyPath() string {
	if len(c.info.Parts) == 3 && !strings.HasSuffix(c.r.URL.Path, "/") {
		return ""
	}
	rest := path.Join("/", strings.Join(c.info.Parts[3:], "/"))
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

// resolvable is reachable for a node, which may be known by a name only.
func resolvable(ctx context.Context, host string) error {
	addrs, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	for _, a := range addrs {
		if err := reachable(a.IP.String()); err != nil {
			return err
		}
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
	if err := resolvable(c.ctx(), u.Hostname()); err != nil {
		return nil, nil, err
	}
	if port == "" || port == u.Port() {
		return u, c.s.kubelet.verify, nil
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(u.Hostname(), port)}, c.s.kubelet.plain, nil
}

// serviceLocation is any ready pod behind the service's port.
func (c *call) serviceLocation(scheme, name, port string) (*url.URL, error) {
	if n, err := strconv.ParseInt(port, 10, 64); err == nil {
		if port, err = c.portName(name, n); err != nil {
			return nil, err
		}
	}
	none := apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
	list, err := c.s.objects.List(c.ctx(), schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"}, c.info.Namespace)
	if err != nil {
		return nil, err
	}
	var ready []endpoint
	for _, obj := range list {
		slice := obj.(*discoveryv1.EndpointSlice)
		if slice.Labels[discoveryv1.LabelServiceName] == name {
			ready = append(ready, readyEndpoints(slice, port)...)
		}
	}
	for _, i := range rand.Perm(len(ready)) {
		if e := ready[i]; c.podHas(e.pod, e.address) {
			return &url.URL{Scheme: scheme, Host: net.JoinHostPort(e.address, strconv.Itoa(e.port))}, nil
		}
	}
	return nil, none
}

// portName is the name of a service's port with this number.
func (c *call) portName(service string, number int64) (string, error) {
	obj, err := c.s.objects.Get(c.ctx(), servicesResource, c.info.Namespace, service)
	if err != nil {
		return "", err
	}
	for _, p := range obj.(*corev1.Service).Spec.Ports {
		if int64(p.Port) == number {
			return p.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, service))
}

// endpoint is where a service's port may lead.
type endpoint struct {
	address string
	port    int
	pod     *corev1.ObjectReference // whose address it should be
}

// readyEndpoints are those of a slice's ready pods, with the port of this name.
func readyEndpoints(slice *discoveryv1.EndpointSlice, port string) []endpoint {
	i := slices.IndexFunc(slice.Ports, func(p discoveryv1.EndpointPort) bool {
		return p.Port != nil && (p.Name == nil && port == "" || p.Name != nil && *p.Name == port)
	})
	if i < 0 {
		return nil
	}
	var out []endpoint
	for _, e := range slice.Endpoints {
		if (e.Conditions.Ready == nil || *e.Conditions.Ready) && len(e.Addresses) > 0 {
			out = append(out, endpoint{e.Addresses[0], int(*slice.Ports[i].Port), e.TargetRef})
		}
	}
	return out
}

// podHas says whether ref names a pod of the request's namespace that has this address: who may write EndpointSlices may not
// send the server anywhere else.
func (c *call) podHas(ref *corev1.ObjectReference, address string) bool {
	if ref == nil || ref.Namespace != c.info.Namespace {
		return false
	}
	pod, err := c.pod(ref.Name)
	return err == nil && slices.ContainsFunc(pod.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == address })
}
