package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/cache"
	"minato.dev/minato/internal/store"
)

// What an older version or another server stored in a form that is not ours any more is decoded and encoded at each start.
// A while after a start, when the server has nothing better to do, it is written anew, one object after the other: the
// API sees it as a change without a difference, as upstream's storage migration makes it. When nothing is left,
// the store is known to hold what this version writes, and later starts check nothing.

const (
	migrateAfter = 30 * time.Second      // after the start
	migratePause = 10 * time.Millisecond // between two objects
)

// migrateLater runs migrate once, when the start is over.
func (s *Server) migrateLater(ctx context.Context) error {
	if !s.cfg.SoleWriter || s.suspect.Load() == 0 {
		return nil
	}
	select {
	case <-time.After(migrateAfter):
	case <-ctx.Done():
		return nil
	}
	if err := s.migrate(ctx, migratePause); err != nil && ctx.Err() == nil {
		s.log.Warn("what older versions stored has not all been rewritten; the next start goes on", "err", err)
	}
	return nil
}

// migrate rewrites every stored value that is not in our form. Events are left to expire.
func (s *Server) migrate(ctx context.Context, pause time.Duration) error {
	left := 0
	for _, r := range api.Stored() {
		keys, err := s.foreignForms(r.Prefix + "/")
		if err != nil {
			return err
		}
		if s.kinds[r.GroupResource()].lifetime() > 0 {
			left += len(keys)
			continue
		}
		for _, key := range keys {
			if err := s.recode(ctx, key); err != nil {
				return err
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if len(keys) > 0 {
			s.log.Info("older encodings rewritten", "resource", r.Name, "count", len(keys))
		}
	}
	if left > 0 {
		return nil // they are gone when the next start looks
	}
	return s.trustAll(ctx)
}

// foreignForms are the keys below a prefix whose stored values are in another form than ours.
func (s *Server) foreignForms(prefix string) ([]string, error) {
	snap, err := s.cache.Snapshot(prefix)
	if err != nil {
		return nil, err
	}
	var keys []string
	snap.AscendPrefix(prefix, "", func(o *cache.Object) bool {
		if o.Recoded {
			keys = append(keys, o.Key)
		}
		return true
	})
	return keys, nil
}

// recode writes one value in our form, unless somebody has written it meanwhile, which does the same.
func (s *Server) recode(ctx context.Context, key string) error {
	o, ok := s.cache.Get(key)
	if !ok || !o.Recoded {
		return nil
	}
	_, err := s.store.Update(ctx, key, o.Value(), o.Revision, 0)
	var conflict *store.ConflictError
	if errors.As(err, &conflict) {
		return nil
	}
	return err
}

// trustAll records that nothing in the store is suspect any more.
func (s *Server) trustAll(ctx context.Context) error {
	kv, found, _, err := s.cfg.Store.Get(ctx, writerKey)
	if err != nil || !found {
		return err
	}
	value, err := json.Marshal(writer{Version: health.Version()})
	if err != nil {
		return err
	}
	if _, err := s.cfg.Store.Update(ctx, writerKey, value, kv.ModRevision, 0); err != nil {
		return err
	}
	s.suspect.Store(0)
	return nil
}
