package pki

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// Kept is a Bundle that is renewed while a server runs, and with it the identities that live in memory only. Who shows a
// certificate asks for it each time, by Bundle or Shown; who must act on a renewal calls Renew itself and looks at what it
// returns. All of it is safe for concurrent use.
//
// An authority's certificate may be renewed too, with the key and the subject that it had: what trusts the one before goes on
// to be right until that one ends, two years later.
type Kept struct {
	dir   string
	names Names
	now   func() time.Time

	bundle atomic.Pointer[Bundle]
	mu     sync.Mutex // of renewals, and of memory
	memory []*Shown
}

// Shown is one certificate as it is at the moment.
type Shown struct {
	user   string
	groups []string
	pair   atomic.Pointer[Pair]
}

// Keep is EnsureAll for a server that runs for long.
func Keep(dir string, n Names) (*Kept, error) { return keep(dir, n, time.Now) }

func keep(dir string, n Names, now func() time.Time) (*Kept, error) {
	k := &Kept{dir: dir, names: n, now: now}
	b, err := ensureAll(dir, n, now)
	k.bundle.Store(b)
	return k, err
}

// Bundle is what is on the disk now.
func (k *Kept) Bundle() *Bundle { return k.bundle.Load() }

// Client issues a client certificate for user in groups that lives in memory, and is renewed with the rest.
func (k *Kept) Client(user string, groups ...string) (*Shown, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &Shown{user: user, groups: groups}
	p, err := k.Bundle().CA.ClientPair(user, groups...)
	if err != nil {
		return nil, err
	}
	s.pair.Store(p)
	k.memory = append(k.memory, s)
	return s, nil
}

// TLS is the certificate to show.
func (s *Shown) TLS() *tls.Certificate { return &s.pair.Load().TLS }

// RenewAt is when the first certificate should be replaced.
func (k *Kept) RenewAt() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := k.Bundle().leaves()
	for _, s := range k.memory {
		first = append(first, s.pair.Load())
	}
	at := due(first[0])
	for _, p := range first {
		if t := due(p); t.Before(at) {
			at = t
		}
	}
	return at
}

// due is the first moment at which EnsureAll replaces a certificate of ours.
func due(p *Pair) time.Time { return p.Leaf().NotAfter.Add(time.Second - leafRenew) }

// Renew replaces what is due, on the disk first. Where it fails, all is as before, or a part is renewed already; it may be
// called again.
func (k *Kept) Renew() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, err := ensureAll(k.dir, k.names, k.now)
	if err != nil {
		return err
	}
	k.bundle.Store(b)
	for _, s := range k.memory {
		if k.now().Before(due(s.pair.Load())) {
			continue
		}
		p, err := b.CA.ClientPair(s.user, s.groups...)
		if err != nil {
			return err
		}
		s.pair.Store(p)
	}
	return nil
}
