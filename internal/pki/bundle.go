package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"
)

// Names are the names that this machine's certificates speak for.
type Names struct {
	Node          string   // node name, also the machine's host name as the cluster knows it
	Hosts         []string // more DNS names of the API server
	IPs           []net.IP // the machine's addresses
	ServiceIP     net.IP   // ClusterIP of the Service default/kubernetes
	ClusterDomain string   // "cluster.local" where empty
}

// Pair is one certificate with its key: in memory and as files.
type Pair struct {
	TLS               tls.Certificate // Leaf is set
	CertPEM, KeyPEM   []byte
	CertFile, KeyFile string
}

// Leaf is the parsed certificate.
func (p *Pair) Leaf() *x509.Certificate { return p.TLS.Leaf }

// Authority is a certificate authority: its own certificate and the means to issue others.
type Authority struct {
	Pair
	now func() time.Time
}

// Pool holds just this authority.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Leaf())
	return p
}

// Bundle is everything that a server needs.
type Bundle struct {
	Dir          string
	CA           *Authority // issues all certificates below but FrontProxyClient
	FrontProxyCA *Authority // for requests that the API server forwards to aggregated servers

	APIServer *Pair // serving
	Kubelet   *Pair // serving, for this node

	Admin             *Pair // kubernetes-admin in system:masters
	ControllerManager *Pair // system:kube-controller-manager
	Scheduler         *Pair // system:kube-scheduler
	Node              *Pair // system:node:<name> in system:nodes
	Proxy             *Pair // system:kube-proxy
	KubeletClient     *Pair // kube-apiserver-kubelet-client: the API server towards kubelets
	FrontProxyClient  *Pair // front-proxy-client: the API server towards aggregated servers

	ServiceAccountKey     *ecdsa.PrivateKey // signs service-account tokens (ES256)
	ServiceAccountKeyFile string
	BelievedKeys          []crypto.PublicKey // those that signed tokens before, or elsewhere; see TokenKeys
}

// leaves are the certificates that are renewed.
func (b *Bundle) leaves() []*Pair {
	return []*Pair{b.APIServer, b.Kubelet, b.Admin, b.ControllerManager, b.Scheduler, b.Node, b.Proxy, b.KubeletClient, b.FrontProxyClient}
}
