package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// feed is where a watch of a client in this process wants its events: as they are stored, past framing and decoding. The
// request carries it in its context, where nobody from outside can put one.
type feed struct {
	each func(kind watch.EventType, object any, revision int64, initialEnd bool) error

	mu    sync.Mutex
	ended bool  // Follow has returned
	err   error // why the watch ended
}

// give passes one event on; it fails when the watch is to end.
func (f *feed) give(kind watch.EventType, object any, revision int64, initialEnd bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return io.ErrClosedPipe
	}
	f.err = f.each(kind, object, revision, initialEnd)
	return f.err
}

func (f *feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// end returns why the watch ended; each is not called any more.
func (f *feed) end() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	return f.err
}

type feedKey struct{}

func feedOf(ctx context.Context) *feed {
	f, _ := ctx.Value(feedKey{}).(*feed)
	return f
}

// Follow answers a watch request with stored objects (the client's Local). It returns when the watch has ended.
func (t *inProcess) Follow(req *http.Request, each func(kind watch.EventType, object any, revision int64, initialEnd bool) error) (*http.Response, error) {
	f := &feed{each: each}
	resp, err := t.RoundTrip(req.WithContext(context.WithValue(req.Context(), feedKey{}, f)))
	if err != nil {
		_ = f.end()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	// The body has no bytes: its end is the watch's.
	if n, err := resp.Body.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, errors.Join(fmt.Errorf("%s: the answer is not a watch", req.URL.Path), err, f.end())
	}
	return nil, errors.Join(f.end(), req.Context().Err())
}

// stream passes events on until the watch ends.
func (f *feed) stream(ctx context.Context, c *call, w *cache.Watcher, bookmarks bool) {
	c.w.WriteHeader(http.StatusOK)
	if fl, ok := c.w.(http.Flusher); ok {
		fl.Flush()
	}
	last := int64(0)
	for {
		events, err := w.Next(ctx)
		if errors.Is(err, cache.ErrExpired) {
			f.fail(tooOld(last, c.s.cache.Revision()))
		}
		if err != nil {
			return
		}
		for i := range events {
			e := &events[i]
			last = e.Revision
			var object any
			if e.Type != cache.Bookmark {
				object = storedObject{c.res, e.Object, c.out.Shape}
			} else if !bookmarks {
				continue
			}
			if f.give(watch.EventType(e.Type), object, e.Revision, e.InitialEnd) != nil {
				return
			}
		}
	}
}

// storedObject is a cached object for a client in this process.
type storedObject struct {
	r     *resource
	o     *cache.Object
	shape negotiate.Shape
}

func (s storedObject) Namespace() string     { return s.o.Namespace }
func (s storedObject) Name() string          { return s.o.Name }
func (s storedObject) Revision() int64       { return s.o.Revision }
func (s storedObject) Labels() labels.Labels { return s.o.Labels }

// Decode makes a new object without managedFields.
func (s storedObject) Decode() (runtime.Object, error) {
	switch s.shape {
	case negotiate.Whole:
		return s.r.light(s.o)
	case negotiate.Table:
		return nil, errors.New("a watch of stored objects has no tables")
	}
	p, err := s.r.metadataOf(s.o)
	if err != nil {
		return nil, err
	}
	p.ManagedFields = nil
	return p, nil
}
