// Package logs reads container logs in CRI format and follows them.
//
// The kubelet's HTTPS server calls Follow, the steps call Read for termination messages. The writer is the container
// runtime; a file may be renamed and begun anew at any time (rotation). Functions are safe for concurrent use. Tests
// write files and read them back.
package logs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Options choose what of a log is written and how.
type Options struct {
	Tail       *int64    // only the last lines
	Since      time.Time // only lines not older
	Timestamps bool      // begin each line with its time
	Limit      *int64    // at most so many bytes
	Stream     string    // "stdout" or "stderr" only; empty: both
}

// ErrFormat is returned for a line that is not in CRI format.
var ErrFormat = errors.New("log line is not in CRI format")

// line is one record: "<RFC 3339 time> <stream> <tags> <content>\n". A partial record is continued by the next.
type line struct {
	time    time.Time
	stream  []byte
	partial bool
	content []byte // without the newline
}

func parse(raw []byte) (line, error) {
	raw = bytes.TrimSuffix(raw, []byte("\n"))
	stamp, rest, ok1 := bytes.Cut(raw, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tags, content, _ := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || len(tags) == 0 {
		return line{}, fmt.Errorf("%w: %.80q", ErrFormat, raw)
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return line{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	tag, _, _ := bytes.Cut(tags, []byte(":"))
	return line{t, stream, string(tag) == "P", content}, nil
}

// errLimit ends a read whose byte limit is used up.
var errLimit = errors.New("limit reached")

// printer writes the records that the options choose.
type printer struct {
	w    io.Writer
	o    Options
	left int64
	mid  bool // the last record written was partial
}

func newPrinter(w io.Writer, o Options) *printer {
	p := &printer{w: w, o: o, left: -1}
	if o.Limit != nil {
		p.left = *o.Limit
	}
	return p
}

func (p *printer) print(raw []byte) error {
	l, err := parse(raw)
	if err != nil {
		return nil // half a line of a crashed writer hides no others
	}
	if l.time.Before(p.o.Since) || p.o.Stream != "" && p.o.Stream != string(l.stream) {
		return nil
	}
	var out []byte
	if p.o.Timestamps && !p.mid {
		out = append(l.time.AppendFormat(out, time.RFC3339Nano), ' ')
	}
	out = append(out, l.content...)
	if !l.partial {
		out = append(out, '\n')
	}
	p.mid = l.partial
	if p.left >= 0 && int64(len(out)) >= p.left {
		out = out[:p.left]
		_, err := p.w.Write(out)
		return errors.Join(errLimit, err)
	}
	if p.left >= 0 {
		p.left -= int64(len(out))
	}
	_, err = p.w.Write(out)
	return err
}

// Read writes what is in the file now. A missing file is an error that os.IsNotExist knows.
func Read(w io.Writer, path string, o Options) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := seekTail(f, o.Tail); err != nil {
		return err
	}
	p := newPrinter(w, o)
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		raw, err := r.ReadBytes('\n')
		if len(raw) > 0 && err == nil || len(raw) > 0 && errors.Is(err, io.EOF) {
			if e := p.print(raw); e != nil {
				return clean(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func clean(err error) error {
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// seekTail moves to the beginning of the last n lines.
func seekTail(f *os.File, n *int64) error {
	if n == nil || *n < 0 {
		return nil
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || *n == 0 {
		return err
	}
	const block = 32 << 10
	buf := make([]byte, block)
	lines := int64(0)
	for pos := end; pos > 0; {
		size := min(int64(block), pos)
		pos -= size
		if _, err := f.ReadAt(buf[:size], pos); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] != '\n' || pos+i == end-1 {
				continue
			}
			if lines++; lines == *n {
				_, err := f.Seek(pos+i+1, io.SeekStart)
				return err
			}
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}
