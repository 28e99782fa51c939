package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"minato.dev/minato/internal/store"
)

func TestOneProcessADirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	if _, err := store.Open(t.Context(), store.Config{Dir: dir, Log: logger(t)}); !errors.Is(err, store.ErrInUse) {
		t.Fatal(err)
	}
	rev, err := s.Create(t.Context(), "/registry/x", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Config{Dir: dir})
	if kv, found, now, err := s.Get(t.Context(), "/registry/x"); err != nil || !found || kv.ModRevision != rev || now != rev {
		t.Fatalf("%+v %v %d: %v", kv, found, now, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatal(info.Mode(), err)
	}
}

func TestListenersAreForThisMachineOnly(t *testing.T) {
	for _, url := range []string{"http://0.0.0.0:0", "http://10.0.0.1:2379", "https://127.0.0.1:0", "ftp://x", "http://:2379"} {
		s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), ListenClients: []string{url}, Log: logger(t)})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s was accepted", url)
		}
	}
	socket := filepath.Join(t.TempDir(), "s")
	s := open(t, store.Config{Dir: t.TempDir(), ListenClients: []string{"unix://" + socket, "http://127.0.0.1:0"}})
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFullStoreMakesRoom(t *testing.T) {
	s := open(t, store.Config{Dir: t.TempDir(), QuotaBytes: 48 << 20}) // the file grows by 16 MiB at a time
	value := make([]byte, 1<<20)
	if _, err := s.Create(t.Context(), "/registry/big", value, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 120 { // more than twice the quota, all but one of it history
		if _, err := s.Update(t.Context(), "/registry/big", value, 0, 0); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
}
