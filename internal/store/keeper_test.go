package store

import (
	"errors"
	"log/slog"
	"testing"
	"time"
)

func TestKeeperForgetsWhatIsOneRoundOld(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, Config{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	k := newKeeper(s, time.Hour) // driven by hand
	write := func() int64 {
		rev, err := s.Create(ctx, "/registry/"+time.Now().String(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	kept := func(rev int64) bool {
		_, err := s.List(ctx, "/registry/", ListOptions{Revision: rev})
		if err != nil && !errors.Is(err, ErrCompacted) {
			t.Fatal(err)
		}
		return err == nil
	}
	first := write()
	if !k.round(ctx) || !kept(first) {
		t.Fatal("the first round only marks")
	}
	second := write()
	if !k.round(ctx) || !kept(first) || kept(first-1) {
		t.Fatal("the second round compacts to the first mark")
	}
	if k.round(ctx) || kept(first) || !kept(second) {
		t.Fatal("a round without writes compacts to the last mark and is the last")
	}
}

func TestDefragmentKeepsTheState(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, Config{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rev, err := s.Create(ctx, "/registry/x", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !s.keeper.makeRoom(ctx) || s.keeper.makeRoom(ctx) {
		t.Fatal("room is made once, and not again a moment later")
	}
	if kv, found, _, err := s.Get(ctx, "/registry/x"); err != nil || !found || kv.ModRevision != rev {
		t.Fatal(kv, found, err)
	}
}
