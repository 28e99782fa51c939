package steps

import (
	"fmt"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The limits of a resolver's configuration.
const (
	maxNameservers = 3
	maxSearches    = 32
)

// dns is the pod's resolver configuration by its dnsPolicy, completed by its dnsConfig.
func (n *Node) dns(pod *corev1.Pod) (*runtimeapi.DNSConfig, error) {
	host, err := readResolv(n.ResolvConf)
	if err != nil {
		return nil, err
	}
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSClusterFirstWithHostNet || policy == corev1.DNSClusterFirst && !pod.Spec.HostNetwork {
		policy = corev1.DNSClusterFirst
		if len(n.ClusterDNS) == 0 {
			n.event(pod, "", corev1.EventTypeWarning, "MissingClusterDNS", "kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to %q policy.", pod.Spec.DNSPolicy, corev1.DNSDefault)
			policy = corev1.DNSDefault
		}
	} else if policy != corev1.DNSNone {
		policy = corev1.DNSDefault
	}
	d := &runtimeapi.DNSConfig{}
	switch policy {
	case corev1.DNSClusterFirst:
		for _, a := range n.ClusterDNS {
			d.Servers = append(d.Servers, a.String())
		}
		d.Searches = append([]string{pod.Namespace + ".svc." + n.ClusterDomain, "svc." + n.ClusterDomain, n.ClusterDomain}, host.Searches...)
		d.Options = []string{"ndots:5"}
	case corev1.DNSDefault:
		d = host
	}
	merge(d, pod.Spec.DNSConfig)
	n.trim(pod, d)
	return d, nil
}

func merge(d *runtimeapi.DNSConfig, c *corev1.PodDNSConfig) {
	if c == nil {
		return
	}
	d.Servers = unique(append(d.Servers, c.Nameservers...))
	d.Searches = unique(append(d.Searches, c.Searches...))
	for _, o := range c.Options {
		text := o.Name
		if o.Value != nil {
			text += ":" + *o.Value
		}
		d.Options = slices.DeleteFunc(d.Options, func(old string) bool {
			name, _, _ := strings.Cut(old, ":")
			return name == o.Name
		})
		d.Options = append(d.Options, text)
	}
}

// trim keeps what resolvers read and says so where something is cut off.
func (n *Node) trim(pod *corev1.Pod, d *runtimeapi.DNSConfig) {
	if len(d.Servers) > maxNameservers {
		d.Servers = d.Servers[:maxNameservers]
		n.event(pod, "", corev1.EventTypeWarning, "DNSConfigForming", "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: %s", strings.Join(d.Servers, " "))
	}
	if d.Searches = unique(d.Searches); len(d.Searches) > maxSearches {
		d.Searches = d.Searches[:maxSearches]
		n.event(pod, "", corev1.EventTypeWarning, "DNSConfigForming", "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: %s", strings.Join(d.Searches, " "))
	}
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// readResolv reads the host's file; an empty path is an empty configuration.
func readResolv(path string) (*runtimeapi.DNSConfig, error) {
	if path == "" {
		return &runtimeapi.DNSConfig{}, nil
	}
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return &runtimeapi.DNSConfig{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the host's resolver configuration: %w", err)
	}
	return parseResolv(string(raw)), nil
}

func parseResolv(text string) *runtimeapi.DNSConfig {
	d := &runtimeapi.DNSConfig{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			d.Servers = append(d.Servers, f[1])
		case "search":
			d.Searches = nil
			for _, s := range f[1:] {
				if s != "." {
					s = strings.TrimSuffix(s, ".")
				}
				d.Searches = append(d.Searches, s)
			}
		case "options":
			d.Options = unique(append(d.Options, f[1:]...))
		}
	}
	return d
}
