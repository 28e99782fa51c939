package cluster

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/pki"
)

// A JoinToken is a bootstrap token, by which the server knows the machine, and the hash of the cluster's authority, by which
// the machine knows the server: ID.SECRET.HASH.
type JoinToken struct{ ID, Secret, Hash string }

var joinToken = regexp.MustCompile(`^([a-z0-9]{6})\.([a-z0-9]{16})\.([0-9a-f]{64})$`)

// ParseJoinToken reads what `minato token create` prints.
func ParseJoinToken(s string) (JoinToken, error) {
	m := joinToken.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return JoinToken{}, fmt.Errorf("--token has not the form ID.SECRET.HASH, 6, 16 and 64 letters and digits: copy all of what `minato token create` prints on the server")
	}
	return JoinToken{m[1], m[2], m[3]}, nil
}

// String is the token as it is printed and given.
func (t JoinToken) String() string { return t.bootstrap() + "." + t.Hash }

func (t JoinToken) bootstrap() string { return t.ID + "." + t.Secret }

// newJoinToken makes one that nobody can guess, for the authority in caPEM.
func newJoinToken(caPEM []byte) (t JoinToken, err error) {
	if t.ID, err = letters(6); err != nil {
		return t, err
	}
	if t.Secret, err = letters(16); err != nil {
		return t, err
	}
	t.Hash, err = pki.CAHash(caPEM)
	return t, err
}

// letters are n random ones of a-z and 0-9, each as likely as the others.
func letters(n int) (string, error) {
	const all = "abcdefghijklmnopqrstuvwxyz0123456789"
	out, b := make([]byte, 0, n), make([]byte, 1)
	for len(out) < n {
		if _, err := rand.Read(b); err != nil {
			return "", err
		}
		if int(b[0]) < 256/len(all)*len(all) {
			out = append(out, all[int(b[0])%len(all)])
		}
	}
	return string(out), nil
}

// clusterInfo is what a machine must know of the cluster that it joins. It is no secret.
type clusterInfo struct {
	caPEM          []byte
	pool           *x509.CertPool
	pods, services netip.Prefix
}

// infoName is the ConfigMap of kube-public that has it, as kubeadm calls it.
const infoName = "cluster-info"

// discover asks a server, whom nothing vouches for yet, for the cluster's authority; takes it if it is the one that the
// token names; and asks again with that authority as the only one to believe.
func discover(ctx context.Context, server string, t JoinToken) (*clusterInfo, error) {
	said, err := askInfo(ctx, server, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.Load([]byte(said.Data["kubeconfig"]))
	if err != nil {
		return nil, fmt.Errorf("%s: ConfigMap %s: kubeconfig: %w", server, infoName, err)
	}
	info := &clusterInfo{pool: x509.NewCertPool()}
	for _, c := range config.Clusters {
		if ca, alone, ok := pki.PinnedCA(c.CertificateAuthorityData, t.Hash); ok {
			info.caPEM = alone
			info.pool.AddCert(ca)
			break
		}
	}
	if info.caPEM == nil {
		return nil, fmt.Errorf("%s has another certificate authority than the token names: the token is of another cluster, or somebody stands between this machine and the server; "+
			"make a new one there with `minato token create`", server)
	}
	if said, err = askInfo(ctx, server, &tls.Config{RootCAs: info.pool, MinVersion: tls.VersionTLS12}); err != nil {
		return nil, err
	}
	for key, into := range map[string]*netip.Prefix{"podCIDR": &info.pods, "serviceCIDR": &info.services} {
		if *into, err = netip.ParsePrefix(said.Data[key]); err != nil {
			return nil, fmt.Errorf("%s: ConfigMap %s: %s: %w; make a token there with `minato token create`, which puts it right", server, infoName, key, err)
		}
	}
	return info, nil
}

func askInfo(ctx context.Context, server string, conf *tls.Config) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	rt := transport(conf)
	defer rt.CloseIdleConnections()
	m, err := client.Of(client.New(server, brief{rt}, "minato/join"), client.ConfigMaps).Get(ctx, metav1.NamespacePublic, infoName)
	switch {
	case err == nil:
		return m, nil
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsUnauthorized(err):
		return nil, fmt.Errorf("%s lets no machine join yet: make a token there with `minato token create`", server)
	}
	return nil, fmt.Errorf("cannot ask %s for the cluster to join: %w; is the server up, and is this the address that `minato token create` printed there?", server, err)
}

// brief lets nobody whom nothing vouches for yet answer without end.
type brief struct{ rt http.RoundTripper }

// longestInfo is far more than a ConfigMap may hold.
const longestInfo = 4 << 20

// RoundTrip implements http.RoundTripper.
func (b brief) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.rt.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, longestInfo)
	}
	return resp, err
}
