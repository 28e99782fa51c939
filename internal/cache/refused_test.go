package cache

import (
	"context"
	"errors"
	"testing"
	"time"

	"minato.dev/minato/internal/store"
)

// late is a store whose watch delivers nothing until it is let.
type late struct {
	store.Store
	let chan struct{}
}

func (l late) Watch(ctx context.Context, prefix string, after int64, o store.WatchOptions, each func(store.Batch) error) error {
	return l.Store.Watch(ctx, prefix, after, o, func(b store.Batch) error {
		select {
		case <-l.let:
		case <-ctx.Done():
			return ctx.Err()
		}
		return each(b)
	})
}

// TestWhatARefusalTellsIsSeen: somebody's write is not in the cache yet, and its writer has not heard of it. Who was refused because
// of it knows of it all the same, so reads from then on must wait for it.
func TestWhatARefusalTellsIsSeen(t *testing.T) {
	key := pods + "ns1/p"
	for name, refused := range map[string]func(ctx context.Context, st store.Store) error{
		"create": func(ctx context.Context, st store.Store) error {
			_, err := st.Create(ctx, key, nil, 0)
			return err
		},
		"update": func(ctx context.Context, st store.Store) error {
			_, err := st.Update(ctx, key, nil, 1, 0)
			return err
		},
		"delete": func(ctx context.Context, st store.Store) error {
			_, err := st.Delete(ctx, key, 1)
			return err
		},
		"read": func(ctx context.Context, st store.Store) error {
			_, _, _, err := st.Get(ctx, key)
			return errors.Join(err, store.ErrExists)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := late{store.NewMemory(), make(chan struct{})}
			w := start(t, l, nil)
			if _, err := l.Store.Create(t.Context(), key, pod("n", "a", 1), 0); err != nil {
				t.Fatal(err)
			}
			var conflict *store.ConflictError
			if err := refused(t.Context(), w.cache.Store()); !errors.Is(err, store.ErrExists) && !errors.As(err, &conflict) {
				t.Fatal(err)
			}
			early, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if _, err := w.cache.Fresh(early); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a read does not wait for it: %v", err)
			}
			close(l.let)
			if _, err := w.cache.Fresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, found := w.cache.Get(key); !found {
				t.Error("a read does not see it")
			}
		})
	}
}
