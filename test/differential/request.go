package differential

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// A Request is what both sides are asked. Path, Body and header values may name variables as ${name}, which each side
// fills in with what it answered earlier.
type Request struct {
	Method string
	Path   string // with query
	Body   string
	Type   string            // Content-Type; empty: application/json where there is a body
	Accept string            // empty: application/json
	Header map[string]string // more headers
	Save   map[string]string // variables that the answer sets: name to a dotted path in its body

	headOnly bool // the body is read and not compared
}

// An Answer is what one side said.
type Answer struct {
	Code   int
	Header http.Header
	Body   any    // decoded: JSON values, a list of them for a stream, a string for anything else
	Raw    []byte // as it came
}

// requestTimeout bounds one request, watches included.
const requestTimeout = 70 * time.Second

func (s *Side) expand(text string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	return os.Expand(text, func(name string) string {
		if v, ok := s.vars[name]; ok {
			return v
		}
		return "${" + name + "}"
	})
}

// ask sends the request to this side.
func (s *Side) ask(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, s.URL+s.expand(r.Path), strings.NewReader(s.expand(r.Body)))
	if err != nil {
		return Answer{}, err
	}
	if r.Body == "" {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	s.headers(req, r)
	resp, err := s.http.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %s %s: %w", s.Name, r.Method, r.Path, err)
	}
	a := Answer{Code: resp.StatusCode, Header: resp.Header, Raw: raw}
	if r.headOnly {
		return a, nil
	}
	if a.Body, err = decode(resp.Header.Get("Content-Type"), raw); err != nil {
		a.Body = fmt.Sprintf("cannot be decoded: %v: %s", err, bytes.ToValidUTF8(raw, []byte("?")))
	}
	s.save(r.Save, a.Body)
	return a, nil
}

func (s *Side) headers(req *http.Request, r Request) {
	req.Header.Set("Accept", "application/json")
	if r.Accept != "" {
		req.Header.Set("Accept", r.Accept)
	}
	if r.Type != "" {
		req.Header.Set("Content-Type", r.Type)
	} else if r.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "differential/1")
	for k, v := range r.Header {
		req.Header.Set(k, s.expand(v))
	}
}

// save keeps values of the answer. One that is not there leaves the variable empty.
func (s *Side) save(vars map[string]string, body any) {
	for name, path := range vars {
		s.vars[name] = ""
		if v := lookup(body, path); v != nil {
			s.vars[name] = fmt.Sprint(v)
		}
	}
}

// lookup finds a value by the names on the way to it.
func lookup(v any, path string) any {
	for _, name := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}
