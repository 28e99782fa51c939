package sides

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
)

// Times are when a start reached what, counted from its beginning, as clients saw it that ask every few milliseconds.
type Times struct {
	API  time.Duration // /readyz says ok
	Node time.Duration // a node is Ready, as its kubelet has said since the start
	DNS  time.Duration // the cluster DNS answers for the Service "kubernetes", at its address
}

// patience is how long a start may take.
const patience = 2 * time.Minute

// Start starts the side and watches it from outside until it is complete.
func (s *Side) Start(ctx context.Context) (Times, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var t Times
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	g.Go(func() error { return s.Up(ctx) })
	for _, p := range []struct {
		name string
		into *time.Duration
		ask  func(context.Context) error
	}{{"API", &t.API, s.askAPI}, {"node", &t.Node, func(ctx context.Context) error { return s.askNode(ctx, began) }}, {"DNS", &t.DNS, s.askDNS}} {
		g.Go(func() error {
			err := until(ctx, p.ask)
			*p.into = time.Since(began)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", s.Name, p.name, err)
			}
			return nil
		})
	}
	err := g.Wait()
	s.API = t.API
	return t, err
}

// until asks every few milliseconds until there is no error; the error is the last one.
func until(ctx context.Context, ask func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		err := ask(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(3 * time.Millisecond):
		}
	}
}

// askAPI asks without credentials, which a server in its first start has not handed out yet.
func (s *Side) askAPI(ctx context.Context) error {
	_, err := s.askOnce(ctx, &tls.Config{InsecureSkipVerify: true}, "/readyz")
	return err
}

func (s *Side) askOnce(ctx context.Context, conn *tls.Config, path string) ([]byte, error) {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: conn, DisableKeepAlives: true, DialContext: s.Net.DialContext}}
	return get(ctx, c, s.URL+path)
}

// askNode wants a node that says so since the start: in a used data directory the word of the last run still stands.
func (s *Side) askNode(ctx context.Context, began time.Time) error {
	conn, _, err := s.known()
	if err != nil {
		return err
	}
	b, err := s.askOnce(ctx, conn, "/api/v1/nodes")
	if err != nil {
		return err
	}
	var l corev1.NodeList
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	for _, n := range l.Items {
		if slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			heard := !c.LastHeartbeatTime.Time.Before(began.Truncate(time.Second)) // whole seconds are all it tells
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && heard
		}) {
			return nil
		}
	}
	return errors.New("no node is Ready")
}

func (s *Side) askDNS(ctx context.Context) error {
	_, addr, err := s.known()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond) // nothing says that a datagram was lost
	defer cancel()
	c, err := s.Net.DialContext(ctx, "udp", net.JoinHostPort(addr, "53"))
	if err != nil {
		return err
	}
	defer c.Close()
	q := new(dns.Msg).SetQuestion("kubernetes.default.svc.cluster.local.", dns.TypeA)
	a, _, err := (&dns.Client{Timeout: 50 * time.Millisecond}).ExchangeWithConnContext(ctx, q, &dns.Conn{Conn: c})
	if err != nil {
		return err
	}
	if a.Rcode != dns.RcodeSuccess || len(a.Answer) == 0 {
		return fmt.Errorf("the answer is %s", dns.RcodeToString[a.Rcode])
	}
	return nil
}
