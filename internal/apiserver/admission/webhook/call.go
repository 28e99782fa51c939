package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"minato.dev/minato/internal/apiserver/admission/policy"
)

// failure is an error of the call, for which the webhook's failurePolicy was made.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// callers keeps the connections to webhooks.
type callers struct {
	objects policy.Objects
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	mu      sync.Mutex
	known   map[string]*http.Transport // by target and trust
}

// maxCallers bounds the transports that are kept; beyond it those of old configurations are let go with all others.
const maxCallers = 200

// call asks and reads the answer. Whatever goes wrong is a *failure that names the webhook.
func (c *callers) call(ctx context.Context, q *question, r *review) (*answer, error) {
	a, err := c.post(ctx, q, r)
	if err != nil {
		return nil, &failure{fmt.Errorf("failed calling webhook %q: %w", q.name, err)}
	}
	return a, nil
}

func (c *callers) post(ctx context.Context, q *question, r *review) (*answer, error) {
	target, rt, err := c.target(&q.client)
	if err != nil {
		return nil, err
	}
	limit := time.Duration(q.timeout) * time.Second
	query := target.Query()
	query.Set("timeout", limit.String())
	target.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := (&http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("failed to call webhook: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("failed to call webhook: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("failed to call webhook: the server answered %s: %.200q", resp.Status, body)
	}
	return r.read(body)
}

// target is where a webhook is asked, and with which trust.
func (c *callers) target(conf *admissionregistrationv1.WebhookClientConfig) (*url.URL, http.RoundTripper, error) {
	s := conf.Service
	if s == nil {
		if conf.URL == nil {
			return nil, nil, errors.New("its configuration has neither a url nor a service")
		}
		u, err := url.Parse(*conf.URL)
		if err != nil {
			return nil, nil, err
		}
		rt, err := c.transport(u.Host, conf.CABundle, u.Hostname(), nil)
		return u, rt, err
	}
	port := or(s.Port, 443)
	host := s.Name + "." + s.Namespace + ".svc"
	u := &url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(int(port))), Path: or(s.Path, "")}
	rt, err := c.transport(u.Host, conf.CABundle, host, func(ctx context.Context, network, _ string) (net.Conn, error) {
		address, err := c.endpoint(ctx, s.Namespace, s.Name, port)
		if err != nil {
			return nil, err
		}
		return c.dial(ctx, network, address)
	})
	return u, rt, err
}

func (c *callers) transport(host string, trust []byte, server string, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*http.Transport, error) {
	key := host + " " + fmt.Sprintf("%x", sha256.Sum256(trust))
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.known[key]; t != nil {
		return t, nil
	}
	conf := &tls.Config{ServerName: server, MinVersion: tls.VersionTLS12}
	if len(trust) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(trust) {
			return nil, errors.New("unable to load root certificates: its caBundle has none in PEM")
		}
	}
	if dial == nil {
		dial = c.dial
	}
	if len(c.known) >= maxCallers || c.known == nil {
		for _, t := range c.known {
			t.CloseIdleConnections()
		}
		c.known = map[string]*http.Transport{}
	}
	t := &http.Transport{DialContext: dial, TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 25, IdleConnTimeout: 90 * time.Second}
	c.known[key] = t
	return t, nil
}
