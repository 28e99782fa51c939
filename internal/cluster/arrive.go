package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers/certificates"
)

// arrive brings what only the server can give: the node's pod range and its serving certificate. A server that does not
// answer is waited for, except where both are there from before: then the pods need not wait.
func (g *agent) arrive(ctx context.Context) error {
	err := again(ctx, 100*time.Millisecond, func() error {
		err := g.tryArrive(ctx)
		if ctx.Err() == nil && mayMend(err) && g.complete() {
			g.log.Warn("the server gives nothing now; the node goes on with what it has", "server", g.id.Server, "err", err)
			return nil
		}
		return err
	}, func(err error, pause time.Duration) bool {
		if !mayMend(err) {
			return false
		}
		g.log.Warn("the server gives nothing now, will try again", "server", g.id.Server, "err", err, "pause", pause)
		return true
	})
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s does not know this node's certificate: %w; join again with a new token, after `minato down --purge --data-dir %s`", g.id.Server, err, g.cfg.DataDir)
	}
	return err
}

func mayMend(err error) bool { return !errors.As(err, new(final)) && client.MayPass(err) }

// final is an error that another try would not mend: it is not the server's, or the server's last word.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// complete says whether the node has all that it needs to run without the server.
func (g *agent) complete() bool {
	s := g.own.Serving
	return g.id.Share.IsValid() && s != nil && time.Now().Before(s.Leaf().NotAfter) && s.Leaf().VerifyHostname(g.nodeIP.String()) == nil
}

func (g *agent) tryArrive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	first, stop := context.WithTimeout(ctx, 5*time.Second)
	n, err := g.ensureNode(first)
	stop()
	if err != nil {
		return err
	}
	share, err := g.share(ctx, n)
	if err != nil {
		return err
	}
	if share != g.id.Share {
		if g.id.Share.IsValid() {
			if err := g.unplug(ctx); err != nil {
				return final{err}
			}
		}
		g.id.Share = share
		if err := writeJSON(g.paths.identity(), g.id); err != nil {
			return final{err}
		}
	}
	if g.complete() {
		return nil
	}
	return g.certifyServing(ctx)
}

// ensureNode makes the Node, or corrects its addresses, before anything runs on it: range and certificate depend on them.
func (g *agent) ensureNode(ctx context.Context) (*corev1.Node, error) {
	door := client.Of(g.client, client.Nodes)
	addresses := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: g.nodeIP.String()}, {Type: corev1.NodeHostName, Address: g.id.NodeName}}
	n, err := door.Get(ctx, "", g.id.NodeName)
	if apierrors.IsNotFound(err) {
		return door.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: g.id.NodeName, Labels: map[string]string{
			corev1.LabelHostname: g.id.NodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH}},
			Status: corev1.NodeStatus{Addresses: addresses}})
	}
	if err != nil || peerOf(n).Via == g.nodeIP {
		return n, err
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"addresses": addresses}})
	if err != nil {
		return nil, err
	}
	return door.Patch(ctx, "", n.Name, types.MergePatchType, patch, "status")
}

// share waits for the node's pod range.
func (g *agent) share(ctx context.Context, n *corev1.Node) (netip.Prefix, error) {
	p := peerOf(n).CIDR
	if p.IsValid() {
		return p, nil
	}
	err := await(ctx, client.Of(g.client, client.Nodes), n.Name, n.ResourceVersion, func(n *corev1.Node) (bool, error) {
		p = peerOf(n).CIDR
		return p.IsValid(), nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the cluster gives this node no pod range: all of %s may be given out; see `kubectl describe node %s`, and remove nodes that are gone", g.id.PodCIDR, n.Name)
	}
	return p, err
}

// certify has a request signed: it makes it, and waits for approval and certificate.
func certify(ctx context.Context, c *client.Client, signer string, auth certificatesv1.KeyUsage, request []byte) (certPEM []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	door := client.Of(c, certificates.Requests)
	csr, err := door.Create(ctx, &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "csr-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{Request: request, SignerName: signer, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, auth}}})
	if err != nil {
		return nil, err
	}
	err = await(ctx, door, csr.Name, csr.ResourceVersion, func(csr *certificatesv1.CertificateSigningRequest) (bool, error) {
		for _, c := range csr.Status.Conditions {
			if c.Type == certificatesv1.CertificateDenied || c.Type == certificatesv1.CertificateFailed {
				return false, final{fmt.Errorf("request %s: %s: %s", csr.Name, c.Type, c.Message)}
			}
		}
		certPEM = csr.Status.Certificate
		return len(certPEM) > 0, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("request %s was not granted in %s; look at it with `kubectl describe csr %s`, and approve it with `kubectl certificate approve %s` if it is yours", csr.Name, joinTime, csr.Name, csr.Name)
	}
	return certPEM, err
}

// await follows one object from revision on until done says so, or ctx ends.
func await[T client.Object](ctx context.Context, door client.Resource[T], name, revision string, done func(T) (bool, error)) error {
	w, err := door.Watch(ctx, "", metav1.ListOptions{FieldSelector: "metadata.name=" + name, ResourceVersion: revision})
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		e, err := w.Next()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the watch of %s ended early: %w", name, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
		if ok, err := done(e.Object); ok || err != nil {
			return err
		}
	}
}
