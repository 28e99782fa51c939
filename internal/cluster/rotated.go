package cluster

import "os"

// A rotated file takes what is written to it up to limit bytes; then it becomes NAME.1, in the place of an earlier one, and
// begins anew. One write is never torn. It is for one writer at a time.
type rotated struct {
	path        string
	size, limit int64
	file        *os.File
}

// openRotated goes on with the file at path where there is one.
func openRotated(path string, limit int64) (*rotated, error) {
	r := &rotated{path: path, limit: limit}
	return r, r.open()
}

func (r *rotated) open() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	r.file, r.size = f, st.Size()
	return nil
}

// Write implements io.Writer. It takes all: whoever writes is not to end because a disk is full.
func (r *rotated) Write(p []byte) (int, error) {
	if r.size > 0 && r.size+int64(len(p)) > r.limit {
		r.rotate()
	}
	n, _ := r.file.Write(p)
	r.size += int64(n)
	return len(p), nil
}

// rotate makes room; where that fails the file goes on as it is.
func (r *rotated) rotate() {
	before := r.file
	if err := os.Rename(r.path, r.path+".1"); err != nil {
		return
	}
	if err := r.open(); err == nil {
		_ = before.Close()
	}
}

// Close closes the file.
func (r *rotated) Close() error { return r.file.Close() }
