package store

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
)

func TestSharedMapping(t *testing.T) {
	const file = "/data/with space/db"
	for _, c := range []struct {
		line     string
		from, to uintptr
		ok       bool
	}{
		{"7f0000000000-7f0000010000 r--s 00000000 fe:00 123 /data/with space/db", 0x7f0000000000, 0x7f0000010000, true},
		{"7f0000000000-7f0000010000 r--p 00000000 fe:00 123 /data/with space/db", 0, 0, false},
		{"7f0000000000-7f0000010000 r--s 00000000 fe:00 123 /data/other/db", 0, 0, false},
		{"7f0000010000-7f0000000000 r--s 00000000 fe:00 123 /data/with space/db", 0, 0, false},
		{"nonsense", 0, 0, false},
		{"", 0, 0, false},
	} {
		if from, to, ok := sharedMapping(c.line, file); ok != c.ok || ok && (from != c.from || to != c.to) {
			t.Errorf("%q: %x %x %v", c.line, from, to, ok)
		}
	}
}

// TestForgottenMappingIsReadAgain: the database answers as before, also beside readers and writers.
func TestForgottenMappingIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	forgotten := make(chan error)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			err = forgetMapping(filepath.Join(dir, "member", "snap", "db"))
		}
		forgotten <- err
	}()
	value := make([]byte, 4096)
	for i := range 200 {
		if _, err := s.Create(t.Context(), fmt.Sprintf("/registry/x/%03d", i), value, 0); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 { // asks the backend for all of them, in pages
			n, from := 0, ""
			for {
				p, err := s.List(t.Context(), "/registry/x/", ListOptions{Limit: 50, From: from})
				if err != nil {
					t.Fatal(err)
				}
				if n += len(p.KVs); !p.More {
					break
				}
				from = p.KVs[len(p.KVs)-1].Key + "\x00"
			}
			if n != i+1 {
				t.Fatalf("%d keys of %d", n, i+1)
			}
		}
	}
	cancel()
	if err := <-forgotten; err != nil {
		t.Error(err)
	}
}
