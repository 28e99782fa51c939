package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"minato.dev/minato/bench/sides"
)

// watcher is one watch on a connection of its own. A server may end a watch at any time, as one that its client does not
// read fast enough, or for its own reasons; like every client of Kubernetes it then goes on after the last revision that it has
// seen, with a new connection, whose cost counts.
type watcher struct {
	s      *sides.Side
	format format
	body   io.Reader
	conn   *sides.Conn
	from   string // resourceVersion after which the next watch begins, where no event was heard
	last   []byte // the last event that was heard; its memory is the watcher's
	opened int
	late   []float64 // of every event that was heard, in milliseconds
}

// open begins to watch after the last event.
func (w *watcher) open(ctx context.Context) (err error) {
	if len(w.last) > 0 {
		if w.from, err = w.format.version(w.last); err != nil {
			return err
		}
	}
	q := url.Values{"watch": {"true"}, "timeoutSeconds": {"600"}, "resourceVersion": {w.from}}
	c, err := w.s.Connect(ctx)
	if err != nil {
		return err
	}
	if err := c.Stream(path+"?"+q.Encode(), w.format.accept); err != nil {
		return errors.Join(fmt.Errorf("watch: %w", err), c.Close())
	}
	w.conn, w.body = c, c
	w.opened++
	return nil
}

func (w *watcher) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// listen notes how late each event is, until so many have been heard, through as many watches as that takes.
func (w *watcher) listen(ctx context.Context, events int) error {
	for {
		before := len(w.late)
		err := w.hear(events)
		if len(w.late) >= events {
			return nil
		}
		w.close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if w.opened > 1 && len(w.late) == before {
			return fmt.Errorf("a watch that was taken up again ended without an event, after %d of %d: %w", len(w.late), events, err)
		}
		if err := w.open(ctx); err != nil {
			return errors.Join(err, fmt.Errorf("a watch ended after %d of %d events", len(w.late), events))
		}
	}
}

// hear reads one watch to its end or until there is enough.
func (w *watcher) hear(events int) error {
	buf := make([]byte, 0, 64<<10)
	for len(w.late) < events {
		if len(buf) == cap(buf) {
			return errors.New("an event larger than the buffer")
		}
		n, err := w.body.Read(buf[len(buf):cap(buf)])
		now := time.Now().UnixNano()
		buf = buf[:len(buf)+n]
		rest, bad := w.take(buf, now)
		if bad != nil {
			return bad
		}
		buf = buf[:copy(buf, rest)]
		if err != nil {
			return err
		}
	}
	return nil
}

// take notes the whole events in b and returns what is left.
func (w *watcher) take(b []byte, now int64) (rest []byte, err error) {
	var last []byte
	for {
		event, after, ok := w.format.cut(b)
		if !ok {
			if last != nil {
				w.last = append(w.last[:0], last...)
			}
			return b, nil
		}
		at := bytes.Index(event, []byte(mark)) + len(mark)
		if at < len(mark) || len(event) < at+19 {
			return nil, fmt.Errorf("not an event of a ConfigMap: %.200q", event)
		}
		sent, err := strconv.ParseInt(string(event[at:at+19]), 10, 64)
		if err != nil {
			return nil, err
		}
		w.late, last, b = append(w.late, float64(now-sent)/1e6), event, after
	}
}
