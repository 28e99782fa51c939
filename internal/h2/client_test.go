package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAnswers tells what a client of net/http sees of what handlers do.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<14)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		method  string
		status  int
		length  int64
		body    string
		headers map[string]string
	}{
		"nothing":   {func(w http.ResponseWriter, r *http.Request) {}, "GET", 200, 0, "", map[string]string{"Content-Type": ""}},
		"short":     {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }, "GET", 200, 6, "<html>", map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		"in pieces": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "a"); fmt.Fprint(w, "b") }, "GET", 200, 2, "ab", nil},
		"flushed": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "a")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "b")
		}, "GET", 200, -1, "ab", nil},
		"long": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, long) }, "GET", 200, -1, long, nil},
		"declared": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "262144")
			fmt.Fprint(w, long)
		}, "GET", 200, 1 << 18, long, nil},
		"HEAD short":    {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "abc") }, "HEAD", 200, 3, "", nil},
		"HEAD long":     {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, long) }, "HEAD", 200, -1, "", nil},
		"HEAD nothing":  {func(w http.ResponseWriter, r *http.Request) {}, "HEAD", 200, -1, "", nil},
		"HEAD declared": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "77") }, "HEAD", 200, 77, "", nil},
		"204": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			wants(w, http.ErrBodyNotAllowed, "x")
		}, "GET", 204, 0, "", nil},
		"304": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Etag", `"1"`); w.WriteHeader(304) }, "GET", 304, 0, "", map[string]string{"Etag": `"1"`}},
		"too much": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3")
			wants(w, nil, "abc")
			wants(w, http.ErrContentLength, "d")
		}, "GET", 200, 3, "abc", nil},
		"encoded": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "x")
			fmt.Fprint(w, "abc")
		}, "GET", 200, 3, "abc", map[string]string{"Content-Type": ""}},
		"two heads": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201); w.WriteHeader(500) }, "GET", 201, 0, "", nil},
		"head is copied": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("A", "1")
			w.WriteHeader(200)
			w.Header().Set("A", "2")
		}, "GET", 200, 0, "", map[string]string{"A": "1"}},
		"no date twice": {func(w http.ResponseWriter, r *http.Request) { w.Header()["Date"] = nil }, "GET", 200, 0, "", nil},
		"connection's": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "keep-alive")
			w.Header().Set("Bad\n", "x")
		}, "GET", 200, 0, "", map[string]string{"Connection": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			sv := start(t, c.handler, nil)
			req, _ := http.NewRequestWithContext(t.Context(), c.method, sv.url, nil)
			resp, err := sv.client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || resp.ContentLength != c.length || string(b) != c.body || resp.ProtoMajor != 2 {
				t.Errorf("%s, length %d, %.30q... of %d bytes, %v", resp.Status, resp.ContentLength, b, len(b), err)
			}
			if name != "no date twice" && resp.Header.Get("Date") == "" {
				t.Error("no date")
			}
			for k, v := range c.headers {
				if resp.Header.Get(k) != v {
					t.Errorf("%s: %q", k, resp.Header.Get(k))
				}
			}
		})
	}
}

func wants(w io.Writer, want error, text string) {
	if _, err := io.WriteString(w, text); !errors.Is(err, want) {
		panic(fmt.Sprintf("write: %v instead of %v", err, want))
	}
}

// TestRequests tells what handlers see of what a client of net/http sends.
func TestRequests(t *testing.T) {
	var got *http.Request
	var body []byte
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		got, body = r, b
	}, nil)
	cl := sv.client(t)
	big := bytes.Repeat([]byte("x"), 5<<20) // several windows
	for _, c := range []struct {
		method string
		body   io.Reader
		length int64
		want   []byte
	}{{"GET", nil, 0, nil}, {"POST", strings.NewReader("abc"), 3, []byte("abc")}, {"PUT", bytes.NewReader(big), 5 << 20, big},
		{"PATCH", io.MultiReader(bytes.NewReader(big), strings.NewReader("y")), -1, append(slices.Clone(big), 'y')}} {
		req, _ := http.NewRequestWithContext(t.Context(), c.method, sv.url+"/a%20b?c=d", c.body)
		req.Header = http.Header{"Cookie": {"a=1", "b=2"}, "X-Own": {"1", "2"}, "Accept": {"text/plain"}}
		resp, err := cl.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got.Method != c.method || got.ContentLength != c.length || !bytes.Equal(body, c.want) || got.URL.Path != "/a b" || got.RequestURI != "/a%20b?c=d" ||
			got.Host != sv.addr || got.ProtoMajor != 2 || got.TLS == nil || got.RemoteAddr == "" || got.Header.Get("Cookie") != "a=1; b=2" ||
			!slices.Equal(got.Header["X-Own"], []string{"1", "2"}) || got.Header.Get("Accept") != "text/plain" {
			t.Errorf("%s: %+v with a body of %d bytes", c.method, got, len(body))
		}
	}
}

// TestTrailers goes both ways.
func TestTrailers(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("Sum", "of "+r.Trailer.Get("Sum"))
		w.Header().Set(http.TrailerPrefix+"More", "m")
	}, nil)
	req, _ := http.NewRequestWithContext(t.Context(), "POST", sv.url, io.MultiReader(strings.NewReader("abc")))
	req.Trailer = http.Header{"Sum": {"abc"}}
	resp, err := sv.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "abc" || resp.Trailer.Get("Sum") != "of abc" || resp.Trailer.Get("More") != "m" {
		t.Errorf("%q, %v, %v", b, resp.Trailer, err)
	}
}

// TestContinue asks before it sends.
func TestContinue(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "" {
			panic("Expect was passed on")
		}
		if r.URL.Path == "/yes" {
			_, _ = io.Copy(w, r.Body)
		}
	}, nil)
	tr := sv.client(t).Transport.(*http.Transport)
	tr.ExpectContinueTimeout = time.Minute
	for path, want := range map[string]string{"/yes": "abc", "/no": ""} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", sv.url+path, strings.NewReader("abc"))
		req.Header.Set("Expect", "100-continue")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(b) != want {
			t.Errorf("%s: %q", path, b)
		}
	}
}

// TestGivenUp: a request whose client goes away ends by its context, and the connection lives on.
func TestGivenUp(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/wait" {
			return
		}
		w.(http.Flusher).Flush()
		close(began)
		<-r.Context().Done()
		_, err := w.Write(make([]byte, 2*gather))
		ended <- err
	}, nil)
	cl := sv.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", sv.url+"/wait", nil)
	resp, err := cl.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	<-began
	cancel()
	if err := <-ended; err == nil {
		t.Error("a write after the end had no error")
	}
	_ = resp.Body.Close()
	if resp, err := cl.Get(sv.url); err != nil || resp.StatusCode != 200 {
		t.Errorf("afterwards: %v %v", resp, err)
	}
}

// TestPanics: the client sees a broken stream, and the connection lives on.
func TestPanics(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		if r.URL.Path == "/late" {
			fmt.Fprint(w, "abc")
			w.(http.Flusher).Flush()
		}
		if r.URL.Path != "/" {
			panic("oops")
		}
	}, nil)
	cl := sv.client(t)
	for _, path := range []string{"/abort", "/early", "/late"} {
		resp, err := cl.Get(sv.url + path)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	if resp, err := cl.Get(sv.url); err != nil || resp.StatusCode != 200 {
		t.Errorf("afterwards: %v %v", resp, err)
	}
}

// TestDeadlines: those of http.ResponseController end reading and writing.
func TestDeadlines(t *testing.T) {
	errs := make(chan error, 1)
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		var err error
		if r.URL.Path == "/read" {
			_ = rc.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err = io.ReadAll(r.Body)
		} else {
			_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			for err == nil {
				_, err = w.Write(make([]byte, 1<<20))
			}
		}
		errs <- err
	}, nil)
	cl := sv.client(t)
	for _, path := range []string{"/read", "/write"} {
		r, w := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", sv.url+path, r)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := cl.Do(req); err == nil {
				defer resp.Body.Close()
			}
		}()
		if err := <-errs; err == nil {
			t.Errorf("%s: no error", path)
		}
		_ = w.Close()
		<-done
	}
}

// TestManyAtOnce lets many requests of many sizes share connections.
func TestManyAtOnce(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }, nil)
	cl := sv.client(t)
	var all sync.WaitGroup
	for i := range 400 {
		all.Add(1)
		go func() {
			defer all.Done()
			want := bytes.Repeat([]byte{byte(i)}, i*i*10%300000)
			resp, err := cl.Post(sv.url, "", bytes.NewReader(want))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(b, want) {
				t.Errorf("%d of %d bytes, %v", len(b), len(want), err)
			}
		}()
	}
	all.Wait()
}

// TestDrain: what runs may end, and what is idle ends at once.
func TestDrain(t *testing.T) {
	began, go_on := make(chan struct{}), make(chan struct{})
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			w.(http.Flusher).Flush()
			close(began)
			<-go_on
			fmt.Fprint(w, "whole")
		}
	}, nil)
	busy, idle := sv.client(t), sv.client(t)
	if _, err := idle.Get(sv.url); err != nil {
		t.Fatal(err)
	}
	resp, err := busy.Get(sv.url + "/wait")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-began
	down := make(chan error, 1)
	go func() { down <- sv.hs.Shutdown(context.WithoutCancel(t.Context())) }()
	sv.untilOpen(t, 1) // the idle one goes by itself
	select {
	case err := <-down:
		t.Fatalf("shut down under a request: %v", err)
	default:
	}
	close(go_on)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "whole" {
		t.Errorf("%q, %v", b, err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// untilOpen waits until no more than so many connections are open.
func (sv *served) untilOpen(t testing.TB, most int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); sv.open() > most; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are still open", sv.open())
		}
	}
}

func (sv *served) open() int {
	sv.s.mu.Lock()
	defer sv.s.mu.Unlock()
	return len(sv.s.conns)
}

// TestIdle: a connection without requests ends by itself.
func TestIdle(t *testing.T) {
	sv := start(t, func(http.ResponseWriter, *http.Request) {}, func(c *Config) { c.IdleTime = 300 * time.Millisecond })
	cl := sv.client(t)
	if _, err := cl.Get(sv.url); err != nil {
		t.Fatal(err)
	}
	sv.untilOpen(t, 0)
	if _, err := cl.Get(sv.url); err != nil {
		t.Errorf("a client that comes again: %v", err)
	}
}
