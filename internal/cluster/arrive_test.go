package cluster

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers/certificates"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
)

// refusing is a way to a server that answers with code so many times before it serves.
type refusing struct {
	http.RoundTripper
	code  int
	times atomic.Int32
}

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.times.Add(-1) < 0 {
		return r.RoundTripper.RoundTrip(req)
	}
	return &http.Response{StatusCode: r.code, Status: http.StatusText(r.code), Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

func clientThrough(t *testing.T, srv *apiservertest.Server, code int, times int32) *client.Client {
	way := &http.Transport{}
	t.Cleanup(way.CloseIdleConnections)
	r := &refusing{RoundTripper: way, code: code}
	r.times.Store(times)
	return client.New(srv.URL, r, "test")
}

func nodeAt(name, ip, share string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: share},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	if share != "" {
		n.Spec.PodCIDRs = []string{share}
	}
	return n
}

func TestWaitReadyOutlastsAServerThatCannotServe(t *testing.T) {
	srv := apiservertest.Start(t)
	if _, err := client.Of(srv.Client, client.Nodes).Create(t.Context(), nodeAt("n", "192.168.7.9", "")); err != nil {
		t.Fatal(err)
	}
	if err := waitReady(t.Context(), clientThrough(t, srv, http.StatusServiceUnavailable, 3), "n"); err != nil {
		t.Errorf("after some 503: %v", err)
	}
	if err := waitReady(t.Context(), clientThrough(t, srv, http.StatusForbidden, 1), "n"); err == nil {
		t.Error("a refusal was taken for one that passes")
	}
}

// joined is an agent that has its client certificate and goes to c for the rest.
func joined(t *testing.T, c *client.Client) *agent {
	ca := bundle(t).CA.CertPEM
	own, err := pki.NewCredentials(t.TempDir(), ca)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	return &agent{own: own, client: c, assembly: &assembly{log: slog.New(slog.NewTextHandler(t.Output(), nil)), nodeIP: netip.MustParseAddr("192.168.7.9"),
		cfg: Config{DataDir: data}, paths: Paths{Data: data}, id: Identity{ID: "0123abcd", NodeName: "n", Server: "https://server", PodCIDR: netip.MustParsePrefix("10.244.0.0/16")}}}
}

// TestArrivingTakesNoForNo: a request that somebody denies is not made again and again.
func TestArrivingTakesNoForNo(t *testing.T) {
	srv := apiservertest.Start(t)
	if _, err := client.Of(srv.Client, client.Nodes).Create(t.Context(), nodeAt("n", "192.168.7.9", "10.244.3.0/24")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g := joined(t, clientThrough(t, srv, http.StatusServiceUnavailable, 2))
	var arrived error
	err := run.With(ctx, func(s *run.Scope) error {
		s.Go("deny", func(ctx context.Context) error {
			door := client.Of(srv.Client, certificates.Requests)
			w, err := door.Watch(ctx, "", metav1.ListOptions{})
			if err != nil {
				return err
			}
			defer w.Close()
			e, err := w.Next()
			if err != nil {
				return err
			}
			e.Object.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied, Status: corev1.ConditionTrue, Reason: "Test", Message: "not you"}}
			_, err = door.Update(ctx, e.Object, "approval")
			return err
		})
		s.Go("arrive", func(ctx context.Context) error {
			arrived = g.arrive(ctx)
			return nil
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if arrived == nil || !strings.Contains(arrived.Error(), "Denied: not you") {
		t.Errorf("arrived with %v", arrived)
	}
	if list, _, err := client.Of(srv.Client, certificates.Requests).List(t.Context(), "", metav1.ListOptions{}); err != nil || len(list) != 1 {
		t.Errorf("%d requests, %v", len(list), err)
	}
	if id, err := ReadIdentity(g.cfg.DataDir); err != nil || id.Share.String() != "10.244.3.0/24" {
		t.Errorf("identity %+v, %v", id, err)
	}
}

// hearing calls said with each line that is logged.
type hearing struct{ said func(line string) }

func (h hearing) Write(line []byte) (int, error) {
	h.said(string(line))
	return len(line), nil
}

// TestAddressIsAwaited: a machine that starts may have no network yet.
func TestAddressIsAwaited(t *testing.T) {
	g := joined(t, nil)
	g.id.Server = "https://[::1]:6443" // to which there is no IPv4 way
	tries := 0
	g.log = slog.New(slog.NewTextHandler(hearing{func(line string) {
		if tries++; tries == 2 {
			g.id.Server = "https://127.0.0.1:6443"
		}
	}}, nil))
	err := g.awaitAddress(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is this very machine") || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
