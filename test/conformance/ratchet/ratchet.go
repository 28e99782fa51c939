// Package ratchet keeps what each conformance test did last in a file of the repository. A test that has passed stays
// passed there: when it fails, Merge says so and the file keeps the claim, until somebody mends the program or lowers the
// claim by hand, where a reviewer sees it.
package ratchet

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// State is what a test did.
type State string

// The states of a test.
const (
	Passed State = "passed"
	Failed State = "failed"
	NotRun State = "not run"
)

// The reasons in a word for a test that does not pass.
const (
	MissingPart = "missing part"
	WrongDoing  = "wrong behaviour"
	Environment = "environment"
	Untriaged   = "untriaged"
	// Hollow is for a test that the suite calls passed although the part that it tests is missing: it gives up without a word
	// when it cannot set itself up. It counts as failed until somebody who has built the part takes the word away.
	Hollow = "hollow pass"
)

// Entry is one line: a test and what is known of it.
type Entry struct {
	Group  string // from what the test needs: a-api, b-pod, c-network, d-two-nodes, e-webhook, f-storage, g-dra
	State  State
	Reason string // empty when passed
	Part   string // which part is missing, wrong or in the way
	Test   string
}

// Serial says whether the test must have the cluster for itself.
func (e Entry) Serial() bool {
	return strings.Contains(e.Test, "[Serial]") || strings.Contains(e.Test, "[Disruptive]")
}

// Book is the whole file, ordered by test.
type Book []Entry

const header = "#group\tstate\treason\tpart\ttest"

// Read reads a file. It returns an error that names file and line for whatever is no entry, and for a test named twice.
func Read(file string) (Book, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b Book
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") || lines.Text() == "" {
			continue
		}
		e, err := parse(lines.Text())
		if err == nil && seen[e.Test] {
			err = errors.New("this test has a line already")
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		seen[e.Test] = true
		b = append(b, e)
	}
	return b, lines.Err()
}

func parse(line string) (Entry, error) {
	f := strings.Split(line, "\t")
	if len(f) != 5 {
		return Entry{}, fmt.Errorf("want 5 fields between tabs (%s), got %d", strings.ReplaceAll(header[1:], "\t", ", "), len(f))
	}
	e := Entry{f[0], State(f[1]), f[2], f[3], f[4]}
	switch {
	case !slices.Contains([]State{Passed, Failed, NotRun}, e.State):
		return e, fmt.Errorf("state %q: must be %s, %s or %s", e.State, Passed, Failed, NotRun)
	case e.State == Passed && e.Reason+e.Part != "":
		return e, errors.New("a passed test has no reason")
	case e.State != Passed && !slices.Contains([]string{MissingPart, WrongDoing, Environment, Untriaged, Hollow}, e.Reason):
		return e, fmt.Errorf("reason %q: must be %s, %s, %s, %s or %s", e.Reason, MissingPart, WrongDoing, Environment, Untriaged, Hollow)
	}
	return e, nil
}

// Write replaces the file as a whole.
func (b Book) Write(file string) error {
	sorted := slices.Clone(b)
	slices.SortFunc(sorted, func(x, y Entry) int {
		return cmp.Or(strings.Compare(x.Group, y.Group), strings.Compare(x.Test, y.Test))
	})
	var s strings.Builder
	s.WriteString(header + "\n")
	for _, e := range sorted {
		s.WriteString(strings.Join([]string{e.Group, string(e.State), e.Reason, e.Part, e.Test}, "\t") + "\n")
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".results-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.WriteString(s.String()); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Chmod(fs.FileMode(0o644)), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// Count returns how many tests are in a state.
func (b Book) Count(s State) int {
	n := 0
	for _, e := range b {
		if e.State == s {
			n++
		}
	}
	return n
}

// Merge takes over the states that a run has seen, by test. It returns the new book, the tests that pass for the first
// time, and those that had passed and failed now; the latter keep their line.
func (b Book) Merge(seen map[string]State) (next Book, gained, lost []string) {
	next = slices.Clone(b)
	for i := range next {
		e := &next[i]
		switch s, ran := seen[e.Test]; {
		case !ran || s == NotRun || s == Passed && e.Reason == Hollow:
		case s == Passed && e.State != Passed:
			e.State, e.Reason, e.Part = Passed, "", ""
			gained = append(gained, e.Test)
		case s == Failed && e.State == Passed:
			lost = append(lost, e.Test)
		case s == Failed && e.State == NotRun:
			e.State = Failed
		}
	}
	return next, gained, lost
}
