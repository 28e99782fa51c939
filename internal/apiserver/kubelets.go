package apiserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kubelets is how the server reaches nodes, and through them pods.
type kubelets struct {
	s      *Server
	verify http.RoundTripper // shows our identity and trusts the kubelets' authorities
	trust  http.RoundTripper // the same, whoever answers: for logs where the user asks for that
	plain  http.RoundTripper // to pods and services, which have certificates of their own or none
}

// kubeletPort is where a node's kubelet listens that does not say.
const kubeletPort = 10250

func newKubelets(s *Server) *kubelets {
	conf := s.cfg.Kubelet
	if conf == nil {
		conf = &tls.Config{}
	}
	loose := conf.Clone()
	loose.InsecureSkipVerify = true
	loose.RootCAs = nil
	return &kubelets{s: s, verify: transport(s.cfg.Dial, conf), trust: transport(s.cfg.Dial, loose), plain: transport(s.cfg.Dial, &tls.Config{InsecureSkipVerify: true})}
}

// transport speaks HTTP/1.1 only, so that connections can be upgraded.
func transport(dial func(context.Context, string, string) (net.Conn, error), conf *tls.Config) *http.Transport {
	conf = conf.Clone()
	conf.NextProtos = []string{"http/1.1"}
	if dial == nil {
		dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	return &http.Transport{DialContext: dial, TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second}
}

// location is the URL of a node's kubelet.
func (k *kubelets) location(ctx context.Context, node string) (*url.URL, error) {
	n, err := k.node(ctx, node)
	if err == nil && nodeAddress(n) == "" {
		// Its address may have been written a moment ago.
		if _, err = k.s.cache.Fresh(ctx); err == nil {
			n, err = k.node(ctx, node)
		}
	}
	if err != nil {
		return nil, err
	}
	host := nodeAddress(n)
	if host == "" {
		return nil, fmt.Errorf("no preferred addresses found; known addresses: %v", n.Status.Addresses)
	}
	port := int(n.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if port == 0 {
		port = kubeletPort
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(port))}, nil
}

func (k *kubelets) node(ctx context.Context, name string) (*corev1.Node, error) {
	obj, err := k.s.objects.Get(ctx, schema.GroupResource{Resource: "nodes"}, "", name)
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Node), nil
}

// nodeAddress is where a node is reached: its internal address, else any.
func nodeAddress(n *corev1.Node) string {
	for _, t := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP, corev1.NodeInternalDNS, corev1.NodeHostName} {
		for _, a := range n.Status.Addresses {
			if a.Type == t {
				return a.Address
			}
		}
	}
	return ""
}
