package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestChosen(t *testing.T) {
	for only, want := range map[string][]string{"": names(benches), "pod": {"pod"}, "list, pod": {"pod", "list"}, " ": names(benches)} {
		got, err := chosen(only)
		if err != nil || !slices.Equal(names(got), want) {
			t.Errorf("%q: %q, %v", only, names(got), err)
		}
	}
	if _, err := chosen("pod,nothing"); err == nil {
		t.Error("an unknown bench was chosen")
	}
}

// TestEveryBenchIsThere holds the list to the folders beside this one.
func TestEveryBenchIsThere(t *testing.T) {
	for _, b := range benches {
		if _, err := os.Stat(filepath.Join("..", b.name, "main.go")); err != nil {
			t.Error(err)
		}
	}
}

// TestPlace holds a place against others and lets it go.
func TestPlace(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p, err := newPlace()
	if err != nil {
		t.Fatal(err)
	}
	if err := sweepStale(); err != nil {
		t.Errorf("a living place: %v", err)
	}
	if _, err := os.Stat(p.dir); err != nil {
		t.Error(err)
	}
	if err := p.lock.Close(); err != nil { // as if it had been killed
		t.Fatal(err)
	}
	if err := sweepStale(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
		t.Errorf("a dead place is left: %v", err)
	}
}
