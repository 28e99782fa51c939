package apiserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// InProcess is a transport to this server without a socket. The request is authenticated by the certificate, as if it
// had been the peer's in a TLS handshake. Bodies stream; upgrades are not supported. It works while Run runs.
func (s *Server) InProcess(cert tls.Certificate) http.RoundTripper {
	return s.InProcessShowing(func() *tls.Certificate { return &cert })
}

// InProcessShowing is InProcess with a certificate that is asked for with each request, because it is renewed.
func (s *Server) InProcessShowing(show func() *tls.Certificate) http.RoundTripper {
	return &inProcess{s: s, show: show}
}

type inProcess struct {
	s    *Server
	show func() *tls.Certificate
	last atomic.Pointer[handshake]
}

// handshake is what a handshake with a certificate would have come to.
type handshake struct {
	cert  *tls.Certificate
	state *tls.ConnectionState
}

// shake remembers the last one.
func (t *inProcess) shake() (*tls.ConnectionState, error) {
	cert := t.show()
	if h := t.last.Load(); h != nil && h.cert == cert {
		return h.state, nil
	}
	h := &handshake{cert: cert}
	leaf := cert.Leaf
	if leaf == nil && len(cert.Certificate) > 0 {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("in-process client certificate: %w", err)
		}
	}
	if leaf != nil {
		h.state = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{leaf}}
	}
	t.last.Store(h)
	return h.state, nil
}

// RoundTrip runs the request in a goroutine of the server and returns when the answer has begun.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	state, err := t.shake()
	if err != nil {
		return nil, err
	}
	run := t.s.running.Load()
	if run == nil {
		return nil, apierrors.NewServiceUnavailable("the API server is not running")
	}
	ctx, cancel := context.WithCancel(req.Context())
	forget := context.AfterFunc(run.scope.Context(), cancel)
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr, in.TLS = req.URL.RequestURI(), "127.0.0.1:0", state
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &memoryResponse{header: http.Header{}, begun: make(chan struct{}), more: make(chan struct{}, 1), cancel: cancel}
	uncut := context.AfterFunc(ctx, w.interrupt)
	run.scope.Go("in-process call", func(context.Context) error {
		defer forget()
		defer uncut()
		defer w.finish()
		defer in.Body.Close()
		defer func() {
			if p := recover(); p != nil {
				w.abort(fmt.Errorf("in-process call ended early: %v", p))
			}
		}()
		t.s.ServeHTTP(w, in)
		return nil
	})
	select {
	case <-w.begun:
		return w.response(req), nil
	case <-ctx.Done():
		cancel()
		return nil, context.Cause(ctx)
	}
}

// memoryResponse is a ResponseWriter and the body of the same answer. What is written before the first Flush comes with
// the begin of the answer; a writer that gets too far ahead of its reader waits.
type memoryResponse struct {
	header http.Header
	cancel context.CancelFunc
	begun  chan struct{} // closed when the head is fixed and the first bytes may be read
	more   chan struct{} // signalled when there is more to read, or room to write

	mu     sync.Mutex
	code   int
	open   bool // begun is closed
	buf    []byte
	off    int
	done   bool
	closed bool // by the reader
	cut    bool // the call has been cancelled: nobody waits for what is still written
	err    error
	room   *sync.Cond
}

// ahead is how far a writer may be ahead of its reader once the answer has begun.
const ahead = 1 << 20

// Header is in http.ResponseWriter.
func (m *memoryResponse) Header() http.Header { return m.header }

// WriteHeader is in http.ResponseWriter.
func (m *memoryResponse) WriteHeader(code int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.code == 0 {
		m.code = code
	}
}

// Write is in http.ResponseWriter.
func (m *memoryResponse) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.code == 0 {
		m.code = http.StatusOK
	}
	for m.open && !m.closed && !m.cut && len(m.buf)-m.off > ahead {
		m.cond().Wait()
	}
	if m.closed || m.cut {
		return 0, io.ErrClosedPipe
	}
	if m.buf == nil {
		if n, err := strconv.Atoi(m.header.Get("Content-Length")); err == nil {
			m.buf = make([]byte, 0, n)
		}
	}
	m.buf = append(m.buf, b...)
	if m.open {
		m.signal()
	}
	return len(b), nil
}

func (m *memoryResponse) cond() *sync.Cond {
	if m.room == nil {
		m.room = sync.NewCond(&m.mu)
	}
	return m.room
}

// Flush is in http.Flusher.
func (m *memoryResponse) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begin()
	m.signal()
}

func (m *memoryResponse) begin() {
	if m.code == 0 {
		m.code = http.StatusOK
	}
	if !m.open {
		m.open = true
		m.header = m.header.Clone()
		close(m.begun)
	}
}

func (m *memoryResponse) signal() {
	select {
	case m.more <- struct{}{}:
	default:
	}
}

func (m *memoryResponse) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = true
	m.begin()
	m.signal()
}

// interrupt releases a writer that waits for its reader.
func (m *memoryResponse) interrupt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = true
	m.cond().Broadcast()
}

func (m *memoryResponse) abort(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memoryResponse) response(req *http.Request) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	length := int64(-1)
	if m.done {
		length = int64(len(m.buf))
	}
	return &http.Response{Status: http.StatusText(m.code), StatusCode: m.code, Proto: "HTTP/2.0", ProtoMajor: 2, Header: m.header,
		Body: m, ContentLength: length, Request: req}
}

// Read is in io.Reader.
func (m *memoryResponse) Read(p []byte) (int, error) {
	for {
		m.mu.Lock()
		if m.off < len(m.buf) {
			n := copy(p, m.buf[m.off:])
			if m.off += n; m.off == len(m.buf) {
				m.buf, m.off = m.buf[:0], 0
			}
			if m.room != nil {
				m.room.Broadcast()
			}
			m.mu.Unlock()
			return n, nil
		}
		done, closed, err := m.done, m.closed, m.err
		m.mu.Unlock()
		switch {
		case closed:
			return 0, http.ErrBodyReadAfterClose
		case err != nil:
			return 0, err
		case done:
			m.cancel()
			return 0, io.EOF
		}
		<-m.more
	}
}

// Close is in io.Closer: it ends the request.
func (m *memoryResponse) Close() error {
	m.mu.Lock()
	m.closed = true
	if m.room != nil {
		m.room.Broadcast()
	}
	m.mu.Unlock()
	m.cancel()
	m.signal()
	return nil
}
