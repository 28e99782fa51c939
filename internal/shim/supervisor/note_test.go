package supervisor

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestNotes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x1")
	note, err := newNote(path, sessionRecord{ID: "x1", Container: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newNote(path, sessionRecord{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second note: %v", err)
	}
	write := func(text string) {
		t.Helper()
		if _, err := note.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := readNote(note); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without a result: %v", err)
	}
	write(`{"pid":7,"startTi`)
	if _, _, err := readNote(note); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("with half of one: %v", err)
	}
	write("me\":9}\n")
	note.Close() // the clerk has ended
	rec, result, err := recallNote(path)
	if err != nil || rec.Container != "c1" || result.Pid != 7 || result.StartTime != 9 {
		t.Errorf("%+v %+v %v", rec, result, err)
	}
}
