package runtime

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestMending(t *testing.T) {
	m := newMending()
	m.later("a", time.Second)
	m.later("a", time.Hour) // due already
	now := time.Now().Add(2 * time.Second)
	if ids, next := m.take(now); !slices.Equal(ids, []string{"a"}) || !next.IsZero() {
		t.Fatalf("due: %v, next %v", ids, next)
	}
	if ids, _ := m.take(now); len(ids) != 0 {
		t.Fatalf("taken twice: %v", ids)
	}
	early := time.Now()
	if pause := m.tried("a", errors.New("busy")); pause != 2*time.Second {
		t.Errorf("after a failure it waits %v", pause)
	}
	if ids, next := m.take(early); len(ids) != 0 || next.IsZero() {
		t.Errorf("at once again: %v, next %v", ids, next)
	}
	m.take(time.Now().Add(time.Hour))
	if pause := m.tried("a", errYoung); pause != 2*time.Second {
		t.Errorf("what only takes its time is looked at after %v", pause)
	}
	m.take(time.Now().Add(time.Hour))
	m.later("a", time.Second) // while it is being looked at: the look may have been too early
	if pause := m.tried("a", nil); pause == 0 {
		t.Error("the second wish was forgotten")
	}
	m.take(time.Now().Add(time.Hour))
	if m.tried("a", nil); len(m.due) != 0 {
		t.Errorf("never done: %v", m.due)
	}
}
