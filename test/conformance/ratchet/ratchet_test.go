package ratchet

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMergeNeverLowers(t *testing.T) {
	b := Book{
		{"a", Passed, "", "", "was good"},
		{"a", Failed, MissingPart, "webhooks", "was bad"},
		{"a", NotRun, Untriaged, "", "new"},
		{"a", NotRun, Untriaged, "", "new and bad"},
		{"a", Passed, "", "", "left alone"},
		{"a", Failed, Hollow, "webhooks", "gave up"},
	}
	next, gained, lost := b.Merge(map[string]State{"gave up": Passed, "was good": Failed, "was bad": Passed, "new": Passed, "new and bad": Failed, "left alone": NotRun})
	if !slices.Equal(gained, []string{"was bad", "new"}) || !slices.Equal(lost, []string{"was good"}) {
		t.Errorf("gained %q, lost %q", gained, lost)
	}
	want := Book{
		{"a", Passed, "", "", "was good"},
		{"a", Passed, "", "", "was bad"},
		{"a", Passed, "", "", "new"},
		{"a", Failed, Untriaged, "", "new and bad"},
		{"a", Passed, "", "", "left alone"},
		{"a", Failed, Hollow, "webhooks", "gave up"},
	}
	if !slices.Equal(next, want) {
		t.Errorf("got %v, want %v", next, want)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"a\tpassed\t\tx", "want 5 fields"},
		{"a\tgreen\t\t\tx", `state "green"`},
		{"a\tpassed\tenvironment\t\tx", "a passed test has no reason"},
		{"a\tfailed\tbad luck\t\tx", `reason "bad luck"`},
		{"a\tpassed\t\t\tx\na\tpassed\t\t\tx", "results.tsv:2: this test has a line already"},
	} {
		file := filepath.Join(t.TempDir(), "results.tsv")
		if err := os.WriteFile(file, []byte(c.body+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.body, err, c.want)
		}
	}
}

// The file of the repository is whole, and every test without a pass has its reason.
func TestResultsAreWhole(t *testing.T) {
	b, err := Read("../results.tsv")
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 462 {
		t.Errorf("%d tests, want the 462 of Kubernetes v1.37.2", len(b))
	}
	file := filepath.Join(t.TempDir(), "again.tsv")
	if err := b.Write(file); err != nil {
		t.Fatal(err)
	}
	was, _ := os.ReadFile("../results.tsv")
	is, _ := os.ReadFile(file)
	if string(was) != string(is) {
		t.Error("results.tsv is not in the order in which it is written")
	}
	for _, e := range b {
		if e.State != Passed && (e.Reason == Untriaged || e.Part == "") {
			t.Errorf("%s: %s without a reason", e.Test, e.State)
		}
	}
}
