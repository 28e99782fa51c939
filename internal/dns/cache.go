package dns

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxCached  = 4096
	maxTTL     = 30 * time.Second
	noAnswered = 5 * time.Second // for names that do not exist, where the answer does not say
)

// cache keeps other servers' answers for at most maxTTL.
type cache struct {
	mu sync.Mutex
	m  map[question]cached
}

type cached struct {
	m     *dns.Msg
	since time.Time
	until time.Time
}

func newCache() *cache { return &cache{m: map[question]cached{}} }

// get returns a copy with the time to live that is left, or nil.
func (c *cache) get(q question, now time.Time) *dns.Msg {
	c.mu.Lock()
	e, ok := c.m[q]
	c.mu.Unlock()
	if !ok || !now.Before(e.until) {
		return nil
	}
	m := e.m.Copy()
	age := uint32(now.Sub(e.since) / time.Second)
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				h.Ttl -= min(h.Ttl, age)
			}
		}
	}
	return m
}

// put keeps m if it may be kept. Where the cache is full, what is over goes, and if nothing is, anything.
func (c *cache) put(q question, m *dns.Msg, now time.Time) {
	life := lifetime(m)
	if life <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= maxCached {
		c.makeRoom(now)
	}
	c.m[q] = cached{m.Copy(), now, now.Add(life)}
}

func (c *cache) makeRoom(now time.Time) {
	for q, e := range c.m {
		if !now.Before(e.until) {
			delete(c.m, q)
		}
	}
	for q := range c.m {
		if len(c.m) < maxCached*7/8 {
			return
		}
		delete(c.m, q)
	}
}

// lifetime is the shortest of the answer's, or what its SOA says for a name or type that does not exist.
func lifetime(m *dns.Msg) time.Duration {
	if m.Truncated || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0
	}
	life := maxTTL
	for _, rr := range m.Answer {
		life = min(life, time.Duration(rr.Header().Ttl)*time.Second)
	}
	if len(m.Answer) > 0 {
		return life
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(life, time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second)
		}
	}
	return noAnswered
}
