package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"minato.dev/minato/internal/kubelet/logs"
)

// logs writes a container's log, and with follow=true what it adds until it ends.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	pod, ok := s.pod(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	o, follow, err := logOptions(q, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	id, path, err := s.Host.Container(pod, r.PathValue("container"), truth(q.Get("previous")))
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	out := &flusher{w: w, c: http.NewResponseController(w)}
	if follow {
		out.flush() // the headers, so that the caller knows that it is connected
		err = logs.Follow(r.Context(), out, path, o, s.Host.Ended(r.Context(), pod, id))
	} else {
		err = logs.Read(out, path, o)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("unable to retrieve container logs for %s", id)
	}
	if err != nil && !out.wrote {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// flusher hands every write on at once.
type flusher struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	wrote bool
}

func (f *flusher) Write(p []byte) (int, error) {
	f.wrote = true
	n, err := f.w.Write(p)
	if err == nil {
		f.flush()
	}
	return n, err
}

func (f *flusher) flush() { _ = f.c.Flush() }

func truth(s string) bool { b, _ := strconv.ParseBool(s); return b }

// logOptions reads the query of PodLogOptions.
func logOptions(q url.Values, now time.Time) (o logs.Options, follow bool, err error) {
	if o.Tail, err = number(q, "tailLines"); err != nil {
		return o, false, err
	}
	if o.Limit, err = number(q, "limitBytes"); err != nil {
		return o, false, err
	}
	if o.Limit != nil && *o.Limit < 1 {
		return o, false, errors.New("limitBytes: must be greater than 0")
	}
	since, err := number(q, "sinceSeconds")
	if err != nil {
		return o, false, err
	}
	if since != nil {
		o.Since = now.Add(-time.Duration(*since) * time.Second)
	}
	if t := q.Get("sinceTime"); t != "" {
		if o.Since, err = time.Parse(time.RFC3339, t); err != nil {
			return o, false, fmt.Errorf("sinceTime: %w", err)
		}
	}
	switch q.Get("stream") {
	case "Stdout":
		o.Stream = "stdout"
	case "Stderr":
		o.Stream = "stderr"
	}
	o.Timestamps = truth(q.Get("timestamps"))
	return o, truth(q.Get("follow")), nil
}

func number(q url.Values, name string) (*int64, error) {
	if q.Get(name) == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%s: %q must be a number not less than 0", name, q.Get(name))
	}
	return &n, nil
}
