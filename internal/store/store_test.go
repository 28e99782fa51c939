package store_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"minato.dev/minato/internal/store"
	"minato.dev/minato/internal/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := store.NewMemory()
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

func TestEmbedded(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, store.Config{Dir: t.TempDir()}) })
}

func TestDialled(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		socket := "unix://" + filepath.Join(t.TempDir(), "etcd.sock")
		open(t, store.Config{Dir: t.TempDir(), ListenClients: []string{socket}})
		s, err := store.Dial(t.Context(), []string{socket}, nil, logger(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

func open(t *testing.T, cfg store.Config) *store.Etcd {
	t.Helper()
	cfg.Log = logger(t)
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func logger(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
