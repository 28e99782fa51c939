package differential

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/apiserver/bootstrap"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers"
	"minato.dev/minato/internal/controllers/resourcequota"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/scheduler"
)

const helloImage = "minato.local/hello:latest"

// prepareNode makes upstream's cluster with a node whose runtime has the image.
func prepareNode(t *testing.T) *upstream.Cluster {
	if err := upstream.Build(t.Context(), upstream.Dir(), append(upstream.Plane, upstream.Node...)...); err != nil {
		t.Fatal(err)
	}
	c, err := upstream.New(t.Context(), upstream.Dir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	hello, err := filepath.Abs("../../bin/minato-hello")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(hello); err != nil {
		t.Fatalf("%v: run `make build` first", err)
	}
	if err := c.PrepareNode(t.Context(), upstream.NodeConfig{CNI: "/usr/lib/cni", Image: helloImage, Program: hello}); err != nil {
		t.Fatalf("%v: %s", err, c.NodeWords())
	}
	return c
}

// TestTheirNodeOnOurServer has upstream's controller manager, scheduler and kubelet (on containerd) work for our API
// server: a Deployment becomes ready pods, and goes with its namespace.
func TestTheirNodeOnOurServer(t *testing.T) {
	c := prepareNode(t)
	u, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Net.Listen(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ServeOn(t.Context(), l, c.Dir, c.PKI(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Stop(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	for _, start := range []func(context.Context) error{c.StartControllers, c.StartScheduler, c.StartKubelet} {
		if err := start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	side := NewSide("ours", c.URL(), c.TLS(), c.Net.DialContext)
	defer side.Close()
	deploy(t, c, side)
}

// TestOurMindsOnTheirServer has our controllers and our scheduler work for upstream's API server, with upstream's kubelet.
func TestOurMindsOnTheirServer(t *testing.T) {
	c := prepareNode(t)
	for _, start := range []func(context.Context) error{c.StartEtcd, c.StartAPI, c.StartKubelet} {
		if err := start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- minds(ctx, c) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	side := NewSide("upstream", c.URL(), c.TLS(), c.Net.DialContext)
	defer side.Close()
	allocate(t, side)
	deploy(t, c, side)
}

// allocate gives the node its pod range, which upstream's controller manager would do.
func allocate(t *testing.T, side *Side) {
	h := heir{t, side, side.Name}
	node := "/api/v1/nodes/" + upstream.NodeName
	eventually(t, func() error {
		a, err := side.ask(t.Context(), Request{Method: http.MethodGet, Path: node})
		if err == nil && a.Code != http.StatusOK {
			err = fmt.Errorf("the node: %d", a.Code)
		}
		return err
	})
	h.must(Request{Method: http.MethodPatch, Path: node, Type: mergeType, Body: `{"spec":{"podCIDR":"10.98.0.0/24","podCIDRs":["10.98.0.0/24"]}}`}, http.StatusOK)
}

// minds runs our controllers and scheduler as clients of c's API server.
func minds(ctx context.Context, c *upstream.Cluster) error {
	log := slog.New(slog.DiscardHandler)
	door := func(p *pki.Pair, name string) *client.Client { return client.New(c.URL(), transport(c, p), name) }
	viewing, stop := context.WithCancel(ctx)
	defer stop()
	vs := client.NewViews(viewing, door(c.PKI().ControllerManager, "minato/controllers"), log)
	err := run.With(ctx, func(s *run.Scope) error {
		list := controllers.All(func(account string) (*client.Views, *client.Recorder) {
			if account == "" {
				return vs, nil
			}
			p, err := c.PKI().CA.ClientPair("system:serviceaccount:kube-system:"+account, "system:serviceaccounts", "system:serviceaccounts:kube-system")
			if err != nil {
				s.Go(account, func(context.Context) error { return err })
				return vs, nil
			}
			as := door(p, "minato/"+account)
			rec := client.NewRecorder(as, log, account, "")
			s.Go("events of "+account, rec.Run)
			return vs.As(as), rec
		}, controllers.Knowledge{CA: c.PKI().CA.CertPEM, Aggregate: bootstrap.Aggregate, Quota: resourcequota.Counting{}}, log)
		s.Go("controllers", func(ctx context.Context) error { return control.Run(ctx, log, list) })
		as := door(c.PKI().Scheduler, "minato/scheduler")
		rec := client.NewRecorder(as, log, "default-scheduler", "")
		s.Go("scheduler events", rec.Run)
		s.Go("scheduler", scheduler.New(vs.As(as), rec, log).Run)
		return nil
	})
	stop()
	return errors.Join(err, vs.Wait())
}

func transport(c *upstream.Cluster, p *pki.Pair) http.RoundTripper {
	secure := c.TLS()
	secure.Certificates[0] = p.TLS
	return &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return c.Net.DialContext(ctx, network, addr)
	}}
}

const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"hello"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"hello"}},
"template":{"metadata":{"labels":{"app":"hello"}},"spec":{"terminationGracePeriodSeconds":1,"containers":[{"name":"hello","image":"` + helloImage + `","imagePullPolicy":"Never"}]}}}}`

// deploy makes a Deployment, waits for its pods to be ready, and then for all of it to go with its namespace.
func deploy(t *testing.T, c *upstream.Cluster, side *Side) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.NodeWords())
		}
	})
	h := heir{t, side, side.Name}
	h.must(Request{Method: http.MethodPost, Path: "/api/v1/namespaces", Body: `{"metadata":{"name":"swap"}}`}, http.StatusCreated)
	h.must(Request{Method: http.MethodPost, Path: "/apis/apps/v1/namespaces/swap/deployments", Body: deployment}, http.StatusCreated)
	began := time.Now()
	eventually(t, func() error {
		a, err := side.ask(t.Context(), Request{Method: http.MethodGet, Path: "/apis/apps/v1/namespaces/swap/deployments/hello"})
		if err == nil && fmt.Sprint(lookup(a.Body, "status.readyReplicas")) != "2" {
			err = fmt.Errorf("status is %s", text(lookup(a.Body, "status")))
		}
		return err
	})
	t.Logf("two pods were ready after %s", time.Since(began).Round(time.Millisecond))
	h.must(Request{Method: http.MethodDelete, Path: "/api/v1/namespaces/swap"}, http.StatusOK)
	eventually(t, func() error {
		a, err := side.ask(t.Context(), Request{Method: http.MethodGet, Path: "/api/v1/namespaces/swap"})
		if err == nil && a.Code != http.StatusNotFound {
			err = fmt.Errorf("the namespace still exists: %s", text(lookup(a.Body, "status")))
		}
		return err
	})
}

// eventually asks again until there is no error any more, for as long as a loaded machine may take.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); ; wait(t, 100*time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
