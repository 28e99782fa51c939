package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"minato.dev/minato/internal/run"
)

// start serves on a free port and returns its address and its log.
func start(t *testing.T) (addr string, log *logs) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	log = &logs{wrote: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	scope := run.NewScope(ctx)
	scope.Go("serve", func(ctx context.Context) error { return serve(ctx, addr, log) })
	log.lines(t, 1)
	t.Cleanup(func() {
		cancel()
		begin := time.Now()
		if err := scope.Wait(); err != nil || time.Since(begin) > 5*time.Second {
			t.Errorf("stopped after %v: %v", time.Since(begin), err)
		}
	})
	return addr, log
}

// logs is a log whose readers can wait for its lines.
type logs struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote chan struct{} // closed and made anew at each write
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.wrote)
	l.wrote = make(chan struct{})
	return l.b.Write(b)
}

// lines waits until there are n of them, and returns all.
func (l *logs) lines(t *testing.T, n int) string {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		got, wrote := l.b.String(), l.wrote
		l.mu.Unlock()
		if strings.Count(got, "\n") >= n {
			return got
		}
		select {
		case <-wrote:
		case <-deadline:
			t.Fatalf("%d lines awaited: %s", n, got)
		}
	}
}

func TestServe(t *testing.T) {
	addr, log := start(t)
	for path, want := range map[string]string{"/healthz": "ok\n", "/some/where?x=1": "path: /some/where?x=1\n", "/": "address: 127.0.0.1\n"} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %v %s", path, resp.StatusCode, err, b)
		}
	}
	host, _ := os.Hostname()
	resp, err := http.Post("http://"+addr+"/", "text/plain", strings.NewReader("body"))
	if err != nil || resp.StatusCode != 405 {
		t.Errorf("POST: %v %v", resp, err)
	}
	resp.Body.Close()
	// A line is written after its answer.
	if got := log.lines(t, 5); !strings.Contains(got, "hello from "+host) || !strings.Contains(got, "GET /healthz 200") || strings.Count(got, "\n") != 5 {
		t.Errorf("log: %s", got)
	}
}

func TestRawRequests(t *testing.T) {
	addr, _ := start(t)
	for what, c := range map[string]struct{ send, want string }{
		"old client":  {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK"},
		"head":        {"HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK"},
		"two at once": {"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "\r\n\r\nok\n"},
		"nonsense":    {"hello\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"bad length":  {"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 400"},
		"endless":     {"GET / HTTP/1.1\r\nA: " + strings.Repeat("x", 100_000), "HTTP/1.1 400"},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.send)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b, _ := io.ReadAll(conn)
		conn.Close()
		if !strings.Contains(string(b), c.want) {
			t.Errorf("%s: %q", what, b)
		}
	}
}

func TestPerform(t *testing.T) {
	if got := perform(t.Context(), "", 0, 3); got != 3 {
		t.Errorf("exit %d", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := perform(ctx, "", time.Hour, -1); got != 0 {
		t.Errorf("exit %d", got)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /a HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readRequest(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && (r.method == "" || !strings.HasPrefix(r.path, "/")) {
			t.Fatalf("%q: %+v", b, r)
		}
	})
}
