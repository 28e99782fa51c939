package steps

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxHostname is what the kernel takes.
const maxHostname = 64

// hostname returns the pod's host name and the domain below which it is found, if any.
func (n *Node) hostname(pod *corev1.Pod) (host, domain string) {
	if o := pod.Spec.HostnameOverride; o != nil && *o != "" {
		return *o, ""
	}
	host = pod.Spec.Hostname
	if host == "" {
		host = pod.Name
		if len(host) > 63 {
			host = strings.TrimRight(host[:63], "-.")
		}
	}
	if pod.Spec.Subdomain != "" {
		domain = pod.Spec.Subdomain + "." + pod.Namespace + ".svc." + n.ClusterDomain
	}
	if yes(pod.Spec.SetHostnameAsFQDN) && domain != "" {
		host = host + "." + domain
	}
	return host, domain
}

func yes(b *bool) bool { return b != nil && *b }

// hostsFile writes the pod's /etc/hosts and returns its path on the host.
func (n *Node) hostsFile(pod *corev1.Pod, podIPs []string) (string, error) {
	path := filepath.Join(n.Mounter.PodDir(pod.UID), "etc-hosts")
	content := n.hosts(pod, podIPs)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o644)
}

func (n *Node) hosts(pod *corev1.Pod, podIPs []string) []byte {
	var b bytes.Buffer
	if pod.Spec.HostNetwork {
		own, _ := os.ReadFile("/etc/hosts")
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(own)
	} else {
		n.ownHosts(&b, pod, podIPs)
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range pod.Spec.HostAliases {
			fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
	return b.Bytes()
}

func (n *Node) ownHosts(b *bytes.Buffer, pod *corev1.Pod, podIPs []string) {
	b.WriteString("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
	host, domain := n.hostname(pod)
	for _, ip := range podIPs {
		if domain == "" {
			fmt.Fprintf(b, "%s\t%s\n", ip, host)
			continue
		}
		short := strings.TrimSuffix(host, "."+domain)
		fmt.Fprintf(b, "%s\t%s.%s\t%s\n", ip, short, domain, short)
	}
}
