package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/jail"
)

// A note is what is on disk of a session that is entered without libcontainer: one file in place of a directory, locked as
// long as its clerk lives. Its first line is the session's record, the second the result, which the clerk adds. It comes
// before the clerk does: after a crash the session is found with the result, and not started twice. A line without an end was
// never written.

// newNote makes a session's note, locked.
func newNote(path string, rec sessionRecord) (*os.File, error) {
	b, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	note := os.NewFile(uintptr(fd), path)
	if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		_, err = note.Write(append(b, '\n'))
	}
	if err != nil {
		note.Close()
		_ = unix.Unlink(path)
		return nil, fmt.Errorf("note %s: %w", path, err)
	}
	return note, nil
}

// recallNote waits for the clerk of a session, who may have outlived the shim that began it, and reads the note.
func recallNote(path string) (rec sessionRecord, result jail.Result, err error) {
	note, err := os.Open(path)
	if err != nil {
		return rec, result, err
	}
	defer note.Close()
	if err := unix.Flock(int(note.Fd()), unix.LOCK_EX); err != nil {
		return rec, result, fmt.Errorf("lock %s: %w", path, err)
	}
	return readNote(note)
}

// readNote reads a note from its beginning; io.ErrUnexpectedEOF where it holds no result.
func readNote(note *os.File) (rec sessionRecord, result jail.Result, err error) {
	b, err := io.ReadAll(io.NewSectionReader(note, 0, 64<<10))
	if err != nil {
		return rec, result, err
	}
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	second, _, whole := bytes.Cut(rest, []byte("\n"))
	if !whole {
		return rec, result, fmt.Errorf("%s: %w", note.Name(), io.ErrUnexpectedEOF)
	}
	if err = json.Unmarshal(first, &rec); err == nil {
		err = json.Unmarshal(second, &result)
	}
	if err != nil {
		return rec, result, fmt.Errorf("%s: %w", note.Name(), err)
	}
	return rec, result, nil
}
