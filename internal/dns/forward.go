package dns

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	upstreamTimeout = 2 * time.Second
	shunned         = 10 * time.Second // for how long an upstream that failed is asked last
)

// forwarder asks the machine's name servers. Equal questions at the same time are asked once.
type forwarder struct {
	upstreams []string
	cache     *cache

	mu     sync.Mutex
	failed map[string]time.Time
	asking map[question]*asking
}

// question is all that an answer depends on.
type question struct {
	name          string
	qtype         uint16
	dnssec, check bool
}

type asking struct {
	done chan struct{}
	m    *dns.Msg
}

func newForwarder(upstreams []string) *forwarder {
	return &forwarder{upstreams: upstreams, cache: newCache(), failed: map[string]time.Time{}, asking: map[question]*asking{}}
}

// ask returns the answer to r: from the cache, from somebody who asks the same just now, or from an upstream. Without
// upstreams the answer is a refusal, and SERVFAIL where none of them answers.
func (f *forwarder) ask(ctx context.Context, r *dns.Msg) *dns.Msg {
	if len(f.upstreams) == 0 {
		return new(dns.Msg).SetRcode(r, dns.RcodeRefused)
	}
	q := question{name: dns.CanonicalName(r.Question[0].Name), qtype: r.Question[0].Qtype, check: r.CheckingDisabled}
	if opt := r.IsEdns0(); opt != nil {
		q.dnssec = opt.Do()
	}
	if m := f.cache.get(q, time.Now()); m != nil {
		return finish(m, r)
	}
	m := f.share(ctx, q, r)
	if m == nil {
		return new(dns.Msg).SetRcode(r, dns.RcodeServerFailure)
	}
	return finish(m.Copy(), r)
}

// share asks, or waits for the one who does.
func (f *forwarder) share(ctx context.Context, q question, r *dns.Msg) *dns.Msg {
	f.mu.Lock()
	if a := f.asking[q]; a != nil {
		f.mu.Unlock()
		select {
		case <-a.done:
			return a.m
		case <-ctx.Done():
			return nil
		}
	}
	a := &asking{done: make(chan struct{})}
	f.asking[q] = a
	f.mu.Unlock()
	a.m = f.exchange(ctx, q, r)
	if a.m != nil {
		f.cache.put(q, a.m, time.Now())
	}
	f.mu.Lock()
	delete(f.asking, q)
	f.mu.Unlock()
	close(a.done)
	return a.m
}

// exchange asks one upstream after the other, those that failed lately last.
func (f *forwarder) exchange(ctx context.Context, q question, r *dns.Msg) *dns.Msg {
	out := new(dns.Msg)
	out.SetQuestion(r.Question[0].Name, q.qtype)
	out.CheckingDisabled = q.check
	out.SetEdns0(maxUDP, q.dnssec)
	var last *dns.Msg
	for _, up := range f.order(time.Now()) {
		m, err := exchangeWith(ctx, up, out)
		if ctx.Err() != nil {
			return nil
		}
		f.note(up, err)
		if err != nil {
			continue
		}
		if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError {
			return m
		}
		last = m // SERVFAIL or REFUSED: perhaps the next one knows better
	}
	return last
}

// exchangeWith asks over UDP, and over TCP where the answer did not fit.
func exchangeWith(ctx context.Context, up string, out *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	c := &dns.Client{Net: "udp", UDPSize: maxUDP}
	m, _, err := c.ExchangeContext(ctx, out, up)
	if err == nil && !m.Truncated {
		return m, nil
	}
	if err != nil && !errors.Is(err, dns.ErrBuf) {
		return nil, err
	}
	c.Net = "tcp"
	full, _, err := c.ExchangeContext(ctx, out, up)
	if err != nil && m != nil {
		return m, nil // better a part than nothing; it says that it is one
	}
	return full, err
}

// order returns the upstreams in the order of the configuration, the failed ones after the others.
func (f *forwarder) order(now time.Time) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.upstreams)
	bad := func(u string) int {
		if now.Sub(f.failed[u]) < shunned {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b string) int { return bad(a) - bad(b) })
	return out
}

func (f *forwarder) note(up string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed[up] = time.Now()
	} else {
		delete(f.failed, up)
	}
}

// finish makes m, which the caller owns, the answer to r.
func finish(m, r *dns.Msg) *dns.Msg {
	m.Id, m.Response, m.RecursionDesired, m.RecursionAvailable = r.Id, true, r.RecursionDesired, true
	m.Authoritative = false
	for _, rr := range m.Answer { // the name as the client spelt it
		if dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(r.Question[0].Name) {
			rr.Header().Name = r.Question[0].Name
		}
	}
	m.Question = slices.Clone(r.Question)
	m.Extra = slices.DeleteFunc(m.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	return m
}
