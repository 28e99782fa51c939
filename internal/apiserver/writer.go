package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/cache"
	"minato.dev/minato/internal/store"
)

// Stored bytes are served as they are, so they must be canonical: in the storage version, with all defaults. Whatever this
// program writes is. What another server or another version wrote may not be, and is made so when it is loaded, which
// costs a decoding and an encoding of each object. To do that only where it is needed, the store remembers, outside of
// the keys that upstream reads, which version of this program is the only writer after which revision:
//
//	no record, or another version's   -> {this version, after now}: everything older is suspect, once and for all starts
//	this version's                    -> kept: what was written after it is ours
//	a kube-apiserver ran after it     -> {this version, after now}: upstream's server leaves a Lease with its identity and
//	                                     the key of its compactor, neither of which this program writes
//	several writers on one etcd       -> no record; everything is suspect
const writerKey = "/minato/writer"

// foreignTraces are keys that only a kube-apiserver writes: its identity and its compactor's.
var foreignTraces = []string{"/registry/leases/kube-system/apiserver-", "compact_rev_key"}

// writer is the record at writerKey.
type writer struct {
	Version string `json:"version"`
	After   int64  `json:"after"` // revision
}

// suspectUpTo returns the revision up to which values in st may have been written by somebody else, and records that version
// is the only writer from now on. Where it is not the only one, everything is suspect.
func suspectUpTo(ctx context.Context, st store.Store, sole bool, version string) (int64, error) {
	kv, found, now, err := st.Get(ctx, writerKey)
	if err != nil {
		return 0, err
	}
	if !sole {
		if found {
			if _, err = st.Delete(ctx, writerKey, kv.ModRevision); errors.Is(err, store.ErrNotFound) {
				err = nil // another server was faster
			}
		}
		return math.MaxInt64, err
	}
	var w writer
	if found && json.Unmarshal(kv.Value, &w) == nil && w.Version == version {
		foreign, err := foreignSince(ctx, st, w.After)
		if err != nil || !foreign {
			return w.After, err
		}
	}
	value, err := json.Marshal(writer{version, now})
	if err != nil {
		return 0, err
	}
	if found {
		_, err = st.Update(ctx, writerKey, value, kv.ModRevision, 0)
	} else {
		_, err = st.Create(ctx, writerKey, value, 0)
	}
	return now, err
}

// foreignSince says whether another server left a trace after a revision.
func foreignSince(ctx context.Context, st store.Store, revision int64) (bool, error) {
	for _, prefix := range foreignTraces {
		p, err := st.List(ctx, prefix, store.ListOptions{})
		if err != nil {
			return false, err
		}
		for _, kv := range p.KVs {
			if kv.ModRevision > revision {
				return true, nil
			}
		}
	}
	return false, nil
}

// knowWriters finds out which stored values are suspect, before the cache loads them.
func (s *Server) knowWriters(ctx context.Context) error {
	upTo, err := suspectUpTo(ctx, s.cfg.Store, s.cfg.SoleWriter, health.Version())
	if err != nil {
		return fmt.Errorf("find out who wrote the store: %w", err)
	}
	s.suspect.Store(upTo)
	return nil
}

// canonical is the cache's way to make suspect values of r canonical.
func (s *Server) canonical(r *api.Resource) func(store.KV) ([]byte, error) {
	return func(kv store.KV) ([]byte, error) {
		if kv.ModRevision > s.suspect.Load() {
			return kv.Value, nil
		}
		return r.Canonical(kv.Value)
	}
}

// stored returns the cached object at key, unless the store has it in other bytes: a write must compare with those.
func (s *Server) stored(key string) (*cache.Object, bool) {
	o, ok := s.cache.Get(key)
	return o, ok && !o.Recoded
}
