package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"minato.dev/minato/internal/run"
)

const (
	idle      = 60 * time.Second
	maxHeader = 64 << 10
)

// serve answers on addr until ctx ends, then returns at once.
func serve(ctx context.Context, addr string, log io.Writer) error {
	var cfg net.ListenConfig
	l, err := cfg.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	s := &server{log: log, host: hostname()}
	fmt.Fprintf(log, "hello from %s, serving on %s\n", s.host, l.Addr())
	return run.With(ctx, func(scope *run.Scope) error {
		for {
			c, err := l.Accept()
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			scope.Go("connection", func(ctx context.Context) error { s.connection(ctx, c); return nil })
		}
	})
}

type server struct {
	host string
	mu   sync.Mutex // one log line at a time
	log  io.Writer
}

// connection answers the requests of one connection in order.
func (s *server) connection(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	in := bufio.NewReader(c)
	for {
		if err := c.SetDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		r, err := readRequest(in)
		if err != nil {
			if errors.Is(err, errBad) {
				io.WriteString(c, response(r, 400, err.Error()+"\n"))
			}
			return
		}
		status, body := s.answer(c, r)
		_, err = io.WriteString(c, response(r, status, body))
		s.note(c, r, status)
		if err != nil || r.close {
			return
		}
	}
}

// answer makes the body.
func (s *server) answer(c net.Conn, r request) (status int, body string) {
	switch {
	case r.method != "GET" && r.method != "HEAD":
		return 405, "only GET is answered\n"
	case r.path == "/healthz" || r.path == "/readyz" || r.path == "/livez":
		return 200, "ok\n"
	}
	ip, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		ip = c.LocalAddr().String()
	}
	return 200, fmt.Sprintf("hello from %s\naddress: %s\nclient: %s\npath: %s\ntime: %s\n", s.host, ip, c.RemoteAddr(), r.path,
		time.Now().UTC().Format(time.RFC3339))
}

func (s *server) note(c net.Conn, r request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.log, "%s %s %s %s %d\n", time.Now().UTC().Format(time.RFC3339), c.RemoteAddr(), r.method, r.path, status)
}

// request is as much of one as this server wants to know.
type request struct {
	method, path string
	close        bool
}

var errBad = errors.New("bad request")

// readRequest reads a request's head and skips its body.
func readRequest(in *bufio.Reader) (request, error) {
	left := maxHeader
	line, err := readLine(in, &left)
	if err != nil {
		return request{}, err
	}
	part := strings.Fields(line)
	if len(part) != 3 || !strings.HasPrefix(part[2], "HTTP/1.") || !strings.HasPrefix(part[1], "/") {
		return request{}, fmt.Errorf("%w: %q", errBad, line)
	}
	r := request{method: part[0], path: part[1], close: part[2] == "HTTP/1.0"}
	length := int64(0)
	for {
		line, err := readLine(in, &left)
		if err != nil {
			return r, err
		}
		if line == "" {
			break
		}
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.ToLower(key) {
		case "connection":
			r.close = r.close || strings.EqualFold(value, "close")
		case "content-length":
			if length, err = strconv.ParseInt(value, 10, 64); err != nil || length < 0 {
				return r, fmt.Errorf("%w: content-length %q", errBad, value)
			}
		case "transfer-encoding":
			r.close = true // its body is not read, so nothing after it can be
		}
	}
	if !r.close {
		_, err = io.CopyN(io.Discard, in, length)
	}
	return r, err
}

func readLine(in *bufio.Reader, left *int) (string, error) {
	line, err := in.ReadSlice('\n')
	if *left -= len(line); *left < 0 || errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: its head is too long", errBad)
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func response(r request, status int, body string) string {
	text := map[int]string{200: "OK", 400: "Bad Request", 405: "Method Not Allowed"}[status]
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nServer: minato-hello\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n", status, text, len(body))
	if r.close || status == 400 {
		head += "Connection: close\r\n"
	}
	if r.method == "HEAD" {
		body = ""
	}
	return head + "\r\n" + body
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return h
}
