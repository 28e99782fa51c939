package h2

import (
	"context"
	"net/http"
	"runtime/debug"
)

// idleWorkers are kept for the next requests: theirs are stacks that have grown already.
const idleWorkers = 4

// worker is a goroutine that handles one stream after another.
type worker struct{ next chan *stream }

// work has a stream handled.
func (s *Server) work(st *stream) {
	s.mu.Lock()
	if n := len(s.idle) - 1; n >= 0 {
		w := s.idle[n]
		s.idle = s.idle[:n]
		s.mu.Unlock()
		w.next <- st
		return
	}
	s.mu.Unlock()
	s.scope.Go("http2 request", func(ctx context.Context) error {
		w := &worker{make(chan *stream, 1)}
		for st != nil {
			st.handle()
			st = w.rest(ctx, s)
		}
		return nil
	})
}

// rest waits for the next stream; nil where the worker is not needed any more.
func (w *worker) rest(ctx context.Context, s *Server) *stream {
	s.mu.Lock()
	if len(s.idle) == idleWorkers || ctx.Err() != nil {
		s.mu.Unlock()
		return nil
	}
	s.idle = append(s.idle, w)
	s.mu.Unlock()
	select {
	case st := <-w.next:
		return st
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.idle {
		if s.idle[i] == w {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			return nil
		}
	}
	return <-w.next // somebody has just taken it
}

// handle runs the handler, and ends the stream as it ended.
func (st *stream) handle() {
	defer st.handled()
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler {
			st.c.srv.cfg.Log.Error("http2 handler panicked", "remote", st.c.remote, "panic", p, "stack", string(debug.Stack()))
		}
		st.w.done = true
		st.c.mu.Lock()
		defer st.c.unlock()
		st.reset(internalError)
	}()
	if st.long {
		http.Error(&st.w, "the request's header fields are too large", http.StatusRequestHeaderFieldsTooLarge)
	} else {
		st.c.handler.ServeHTTP(&st.w, st.req)
	}
	st.w.finish()
}

// handled lets go of what the handler has not asked for.
func (st *stream) handled() {
	st.cancel()
	if st.req.MultipartForm != nil {
		_ = st.req.MultipartForm.RemoveAll() // temporary files of a form
	}
	c := st.c
	c.mu.Lock()
	defer c.unlock()
	if st.body.ready.L != nil {
		st.body.close()
	}
	if !st.gone {
		if st.localEnded { // the rest of the body is not wanted
			st.reset(noError)
		} else {
			st.reset(internalError)
		}
	}
	c.handled()
}
