package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/pki"
)

// joinTime is how long a server that answers gets to grant what an agent asks for.
const joinTime = time.Minute

// join makes sure of identity, authority and client certificate: from the disk, else with the token.
func (g *agent) join(ctx context.Context) error {
	id, err := ReadIdentity(g.cfg.DataDir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	if !fresh {
		if g.own, err = pki.OpenCredentials(Paths{Data: g.cfg.DataDir}.PKI()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if g.own == nil || g.own.Client == nil || time.Now().After(g.own.Client.Leaf().NotAfter) {
		return g.joinAnew(ctx, id.Server)
	}
	if err := g.identify(nil); err != nil {
		return err
	}
	g.connect()
	return g.awaitAddress(ctx)
}

// joinAnew uses the token. server is the one that was joined, or begun to be joined, before.
func (g *agent) joinAnew(ctx context.Context, server string) error {
	if g.cfg.Join == "" {
		g.cfg.Join = server
	}
	if g.cfg.Token == "" {
		return fmt.Errorf("joining %s needs a token: make one with `minato token create` on the server and give it with --token", g.cfg.Join)
	}
	t, err := ParseJoinToken(g.cfg.Token)
	if err != nil {
		return err
	}
	info, err := discover(ctx, g.cfg.Join, t)
	if err != nil {
		return err
	}
	anyone := client.New(g.cfg.Join, bearer{newRemote(info.pool, nil), t.bootstrap()}, "minato/join")
	if err := g.nameIsFree(ctx, anyone); err != nil {
		return err
	}
	if err := g.identify(info); err != nil {
		return err
	}
	if err := g.findAddress(ctx); err != nil {
		return err
	}
	if g.own, err = pki.NewCredentials(g.paths.PKI(), info.caPEM); err != nil {
		return err
	}
	if err := g.certifyClient(ctx, anyone); err != nil {
		return err
	}
	g.connect()
	return nil
}

func (g *agent) connect() {
	g.way = newRemote(g.own.Pool(), g.own.Client)
	g.client = client.New(g.id.Server, g.way, "kubelet/"+g.cfg.Version)
	if g.own.Serving != nil {
		g.serving.Store(&g.own.Serving.TLS)
	}
}

// nameIsFree asks as kubeadm does: two machines under one name would take each other's pods.
func (g *agent) nameIsFree(ctx context.Context, c *client.Client) error {
	n, err := client.Of(c, client.Nodes).Get(ctx, "", g.cfg.NodeName)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s refuses the token: it is wrong, its time is over, or it was deleted; make another with `minato token create` on the server", g.cfg.Join)
	case err != nil:
		return fmt.Errorf("ask %s for the node %s: %w", g.cfg.Join, g.cfg.NodeName, err)
	case isReady(n):
		return fmt.Errorf("a node %q is in the cluster and Ready: give this one another name with --node-name, or remove that with `kubectl delete node %s` when its machine is down", n.Name, n.Name)
	}
	return nil
}

// identify writes down what this machine is to the cluster. info is what the server said, nil where the identity is there.
func (g *agent) identify(info *clusterInfo) (err error) {
	err = claiming(func(others map[string]claim) error {
		id, err := ReadIdentity(g.cfg.DataDir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && info != nil:
			id, err = newAgent(g.cfg, info, others)
		case err == nil && info != nil && (id.PodCIDR != info.pods || id.ServiceCIDR != info.services):
			err = fmt.Errorf("%s belongs to another cluster, with pods %s and Services %s: take it down with `minato down --purge` first", g.cfg.DataDir, id.PodCIDR, id.ServiceCIDR)
		}
		if err != nil {
			return err
		}
		if g.cfg.Join != "" {
			id.Server = g.cfg.Join
		}
		if err := id.update(g.cfg, others); err != nil {
			return err
		}
		id.Context = ""
		g.id = id
		return errors.Join(id.claim(), writeJSON(Paths{Data: g.cfg.DataDir}.identity(), id))
	})
	g.paths = g.id.paths(g.cfg.DataDir)
	return err
}

// newAgent is the identity of a node that joins: the ranges are the cluster's, the names on this machine its own.
func newAgent(c Config, info *clusterInfo, others map[string]claim) (Identity, error) {
	id, err := freshIdentity(c.NodeName)
	if err != nil {
		return id, err
	}
	id.PodCIDR, id.ServiceCIDR = info.pods, info.services
	used, err := usedRanges()
	if err != nil {
		return id, err
	}
	for what, p := range map[string]netip.Prefix{"pods": id.PodCIDR, "Services": id.ServiceCIDR} {
		for _, u := range used {
			if p.Overlaps(u) {
				return id, fmt.Errorf("the cluster's %s have %s, which this machine uses otherwise (%s): the ranges of a cluster must be free on all its machines; "+
					"another cluster here may have them, or the server needs other ones with --pod-cidr and --service-cidr", what, p, u)
			}
		}
	}
	id.Bridge = "minato0"
	taken := linkExists(id.Bridge) || c.DataDir != DefaultDataDir
	for _, o := range others {
		taken = taken || o.Bridge == id.Bridge
	}
	if taken {
		id.Bridge = "mnt" + id.ID
	}
	return id, nil
}

// awaitAddress is findAddress for a node that has joined before: when a machine starts, its network may come later.
func (g *agent) awaitAddress(ctx context.Context) error {
	return again(ctx, 100*time.Millisecond, func() error { return g.findAddress(ctx) }, func(err error, pause time.Duration) bool {
		if !errors.As(err, new(*net.OpError)) {
			return false
		}
		g.log.Warn("this machine has no way to the server, will try again", "server", g.id.Server, "err", err, "pause", pause)
		return true
	})
}

// findAddress finds by which address the machine speaks to the server, which is how the cluster will know it.
func (g *agent) findAddress(ctx context.Context) error {
	if g.cfg.NodeIP != "" {
		ip, err := netip.ParseAddr(g.cfg.NodeIP)
		g.nodeIP = ip
		return err
	}
	u, err := url.Parse(g.id.Server)
	if err != nil {
		return err
	}
	c, err := new(net.Dialer).DialContext(ctx, "udp4", u.Host) // sends nothing
	if err != nil {
		return fmt.Errorf("no way to %s: %w; give this machine's address with --node-ip", g.id.Server, err)
	}
	defer c.Close()
	ip := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if ip.IsLoopback() {
		return fmt.Errorf("%s is this very machine: an agent needs a machine, or a network namespace, of its own", g.id.Server)
	}
	g.nodeIP = ip
	return nil
}

// certifyClient asks, through c, for the node's client certificate.
func (g *agent) certifyClient(ctx context.Context, c *client.Client) error {
	w, err := pki.WishNode(g.id.NodeName)
	if err != nil {
		return err
	}
	cert, err := certify(ctx, c, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.UsageClientAuth, w.Request)
	if err != nil {
		return fmt.Errorf("client certificate of node %s: %w", g.id.NodeName, err)
	}
	pair, err := g.own.Granted(w, cert)
	if err == nil {
		g.own.Client = pair
	}
	return err
}

// certifyServing asks as the node for the certificate of the kubelet's own server.
func (g *agent) certifyServing(ctx context.Context) error {
	w, err := pki.WishNode(g.id.NodeName, g.nodeIP.AsSlice())
	if err != nil {
		return final{err}
	}
	cert, err := certify(ctx, g.client, certificatesv1.KubeletServingSignerName, certificatesv1.UsageServerAuth, w.Request)
	if err != nil {
		return fmt.Errorf("serving certificate of node %s for %s: %w", g.id.NodeName, g.nodeIP, err)
	}
	pair, err := g.own.Granted(w, cert)
	if err != nil {
		return final{err}
	}
	g.own.Serving = pair
	g.serving.Store(&pair.TLS)
	return nil
}

// unplug takes the pods' traces off the machine where the node's range has changed: their addresses are somebody else's now.
// To the state on disk this is a reboot.
func (g *agent) unplug(ctx context.Context) error {
	if err := g.clear(ctx, func(what string) { g.log.Info("the pod range has changed", "doing", what) }); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(g.paths.Run, 0o711), g.id.claim())
}
