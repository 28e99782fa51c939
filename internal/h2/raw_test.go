package h2

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// raw is a client that writes frames, right ones or wrong ones.
type raw struct {
	t   testing.TB
	c   *tls.Conn
	enc *hpack.Encoder
	buf bytes.Buffer
	dec *hpack.Decoder
}

// dial connects and exchanges settings.
func (sv *served) dial(t testing.TB, settings ...uint32) *raw {
	t.Helper()
	c, err := tls.Dial("tcp", sv.addr, sv.conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := &raw{t: t, c: c, dec: hpack.NewDecoder(4096, nil)}
	r.enc = hpack.NewEncoder(&r.buf)
	r.send(appendSettings([]byte(preface), settings...))
	return r
}

// send writes what may be refused.
func (r *raw) send(b []byte) { _, _ = r.c.Write(b) }

// block encodes pairs of names and values.
func (r *raw) block(pairs ...string) []byte {
	r.buf.Reset()
	for i := 0; i+1 < len(pairs); i += 2 {
		_ = r.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(r.buf.Bytes())
}

// request is a block with what every request needs before more.
func (r *raw) request(method, path string, more ...string) []byte {
	return r.block(append([]string{":method", method, ":scheme", "https", ":path", path, ":authority", "a"}, more...)...)
}

func frame(kind, flags byte, stream uint32, payload ...byte) []byte {
	return append(appendHead(nil, len(payload), kind, flags, stream), payload...)
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// next reads a frame; kind is 255 at the connection's end.
func (r *raw) next() (head, []byte) {
	var b [headSize]byte
	if _, err := io.ReadFull(r.c, b[:]); err != nil {
		return head{kind: 255}, nil
	}
	h := parseHead(b[:])
	p := make([]byte, h.length)
	if _, err := io.ReadFull(r.c, p); err != nil {
		return head{kind: 255}, nil
	}
	return h, p
}

// until reads to the first frame of a kind.
func (r *raw) until(kind byte) (head, []byte) {
	r.t.Helper()
	for {
		h, p := r.next()
		if h.kind == kind || h.kind == 255 {
			if h.kind != kind {
				r.t.Errorf("the connection ended before a frame of type %d", kind)
			}
			return h, p
		}
	}
}

// fate reads until the connection, or a stream, is ended by an error, or a PING of ours is answered, and says which.
func (r *raw) fate() string {
	for pinged := false; ; {
		h, p := r.next()
		switch {
		case h.kind == 255:
			return "closed"
		case h.kind == frameGoAway:
			return fmt.Sprintf("connection %#x", binary.BigEndian.Uint32(p[4:]))
		case h.kind == frameReset && binary.BigEndian.Uint32(p) != 0:
			return fmt.Sprintf("stream %#x", binary.BigEndian.Uint32(p))
		case h.kind == framePing && h.has(flagAck):
			return "lives"
		case h.kind == frameSettings && !h.has(flagAck) && !pinged:
			pinged = true
			r.send(frame(framePing, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8))
		}
	}
}
