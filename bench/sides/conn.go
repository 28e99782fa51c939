package sides

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Conn is a connection of HTTP/2 over TLS for loads whose own work would hide the servers': client and servers share the
// machine, and net/http's client takes half as much CPU for a create as the server that it measures. It sends the frames
// that net/http's client sends, in as many records, and does one thing at a time: no goroutine, no lock, nothing decoded but
// the status. It belongs to one goroutine.
type Conn struct {
	net       *tls.Conn
	in        *bufio.Reader
	out       []byte // frames to be written
	encoder   *hpack.Encoder
	fields    bytes.Buffer // the encoder's
	decoder   *hpack.Decoder
	authority string
	last      uint32 // stream
	window    int    // what the server still takes on the connection
	unsent    int    // bytes of answers that the server has not been told were read
	head      [frameHead]byte
	answer    answer
	cut       func() bool // ends the watch over the context
}

// answer is what has come of the latest stream.
type answer struct {
	status  string
	body    []byte
	ended   bool
	unsent  int // as Conn's
	pending int // bytes of a DATA frame that have not been read
}

const (
	frameHead    = 9
	firstWindow  = 1<<16 - 1
	streamWindow = 4 << 20 // as net/http's client
	connWindow   = 1 << 30
	tellAfter    = 4 << 10 // so does net/http's client tell the server that it has read
)

// Connect opens a connection as the side's administrator; it breaks when ctx ends.
func (s *Side) Connect(ctx context.Context) (*Conn, error) {
	addr := s.URL[len("https://"):]
	raw, err := s.Net.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	config := s.tls.Clone()
	config.NextProtos = []string{http2.NextProtoTLS}
	if config.ServerName == "" {
		config.ServerName = "127.0.0.1"
	}
	c := &Conn{net: tls.Client(raw, config), authority: addr, last: 1, window: firstWindow}
	c.in, c.encoder = bufio.NewReaderSize(c.net, 32<<10), hpack.NewEncoder(&c.fields)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			c.answer.status = f.Value
		}
	})
	c.cut = context.AfterFunc(ctx, func() { _ = raw.Close() })
	if err := c.greet(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Conn) greet(ctx context.Context) error {
	if err := c.net.HandshakeContext(ctx); err != nil {
		return err
	}
	if p := c.net.ConnectionState().NegotiatedProtocol; p != http2.NextProtoTLS {
		return fmt.Errorf("the server speaks %q", p)
	}
	c.out = append(c.out, http2.ClientPreface...)
	c.frame(http2.FrameSettings, 0, 0, 12)
	c.out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(c.out, uint16(http2.SettingEnablePush)), 0)
	c.out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(c.out, uint16(http2.SettingInitialWindowSize)), streamWindow)
	c.credit(0, connWindow)
	return c.flush()
}

// Close breaks the connection.
func (c *Conn) Close() error {
	c.cut()
	return c.net.NetConn().Close()
}

// Do sends one request and returns its answer, which is valid until the next call.
func (c *Conn) Do(method, path, contentType, body string) (status int, text []byte, err error) {
	if err := c.ask(method, path, contentType, "application/json", body); err != nil {
		return 0, nil, err
	}
	for !c.answer.ended {
		n, err := c.next()
		if err != nil {
			return 0, nil, err
		}
		at := len(c.answer.body)
		c.answer.body = append(c.answer.body, make([]byte, n)...)
		if _, err := io.ReadFull(c.in, c.answer.body[at:]); err != nil {
			return 0, nil, err
		}
		c.read(n)
	}
	status, err = strconv.Atoi(c.answer.status)
	return status, c.answer.body, err
}

// Stream begins a request whose answer is read by Read while it comes.
func (c *Conn) Stream(path, accept string) error {
	if err := c.ask("GET", path, "", accept, ""); err != nil {
		return err
	}
	for c.answer.status == "" {
		if _, err := c.next(); err != nil {
			return err
		}
	}
	if c.answer.status != "200" {
		b, err := io.ReadAll(io.LimitReader(c, 300))
		return errors.Join(fmt.Errorf("GET %s: %s: %s", path, c.answer.status, b), err)
	}
	return nil
}

// Read is in io.Reader: what has come of the answer to Stream.
func (c *Conn) Read(p []byte) (int, error) {
	for c.answer.pending == 0 {
		if c.answer.ended {
			return 0, io.EOF
		}
		if _, err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.in.Read(p[:min(len(p), c.answer.pending)])
	c.read(n)
	return n, err
}

// ask sends a request: its head, and then its body, as net/http's client does.
func (c *Conn) ask(method, path, contentType, accept, body string) error {
	c.fields.Reset()
	for _, f := range []hpack.HeaderField{{Name: ":authority", Value: c.authority}, {Name: ":method", Value: method}, {Name: ":path", Value: path},
		{Name: ":scheme", Value: "https"}, {Name: "accept", Value: accept}, {Name: "content-type", Value: contentType},
		{Name: "user-agent", Value: "minato-bench"}} {
		if f.Value != "" {
			_ = c.encoder.WriteField(f) // the buffer takes all
		}
	}
	flags := http2.FlagHeadersEndHeaders | http2.FlagHeadersEndStream
	if body != "" {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: "content-length", Value: strconv.Itoa(len(body))})
		flags = http2.FlagHeadersEndHeaders
	}
	c.last += 2
	c.answer = answer{body: c.answer.body[:0]}
	c.frame(http2.FrameHeaders, flags, c.last, c.fields.Len())
	c.out = append(c.out, c.fields.Bytes()...)
	if err := c.flush(); err != nil || body == "" {
		return err
	}
	for c.window < len(body) {
		if _, err := c.next(); err != nil {
			return err
		}
	}
	c.window -= len(body)
	c.frame(http2.FrameData, http2.FlagDataEndStream, c.last, len(body))
	c.out = append(c.out, body...)
	return c.flush()
}

// next takes one frame, but for the bytes of an answer's DATA: it returns how many those are.
func (c *Conn) next() (int, error) {
	if c.in.Buffered() == 0 && len(c.out) > 0 { // what the server is to know before the wait
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if _, err := io.ReadFull(c.in, c.head[:]); err != nil {
		return 0, err
	}
	length := int(c.head[0])<<16 | int(c.head[1])<<8 | int(c.head[2])
	kind, flags := http2.FrameType(c.head[3]), http2.Flags(c.head[4])
	stream := binary.BigEndian.Uint32(c.head[5:]) & (1<<31 - 1)
	if kind == http2.FrameData {
		if stream != c.last || flags.Has(http2.FlagDataPadded) {
			return 0, fmt.Errorf("DATA of stream %d with flags %#x", stream, flags)
		}
		c.answer.ended = flags.Has(http2.FlagDataEndStream)
		c.answer.pending = length
		return length, nil
	}
	p := make([]byte, length)
	if _, err := io.ReadFull(c.in, p); err != nil {
		return 0, err
	}
	return 0, c.take(kind, flags, stream, p)
}

// take does what a frame other than DATA asks for.
func (c *Conn) take(kind http2.FrameType, flags http2.Flags, stream uint32, p []byte) error {
	switch kind {
	case http2.FrameHeaders:
		if stream != c.last || flags != flags&(http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream) || !flags.Has(http2.FlagHeadersEndHeaders) {
			return fmt.Errorf("HEADERS of stream %d with flags %#x", stream, flags)
		}
		c.answer.ended = flags.Has(http2.FlagHeadersEndStream)
		_, err := c.decoder.Write(p)
		return errors.Join(err, c.decoder.Close())
	case http2.FrameSettings:
		if !flags.Has(http2.FlagSettingsAck) {
			c.frame(http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			c.frame(http2.FramePing, http2.FlagPingAck, 0, len(p))
			c.out = append(c.out, p...)
		}
	case http2.FrameWindowUpdate:
		if stream == 0 && len(p) == 4 {
			c.window += int(binary.BigEndian.Uint32(p))
		}
	case http2.FrameGoAway, http2.FrameRSTStream:
		return fmt.Errorf("%v: %x", kind, p)
	}
	return nil
}

// read notes that bytes of the answer have been read, and tells the server after some; it hears of it before the next wait.
func (c *Conn) read(n int) {
	c.answer.pending -= n
	c.unsent += n
	c.answer.unsent += n
	if c.unsent >= tellAfter {
		c.credit(0, c.unsent)
		c.unsent = 0
	}
	if c.answer.unsent >= tellAfter && !c.answer.ended {
		c.credit(c.last, c.answer.unsent)
		c.answer.unsent = 0
	}
}

func (c *Conn) credit(stream uint32, n int) {
	c.frame(http2.FrameWindowUpdate, 0, stream, 4)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(n))
}

func (c *Conn) frame(kind http2.FrameType, flags http2.Flags, stream uint32, length int) {
	c.out = append(c.out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	c.out = binary.BigEndian.AppendUint32(c.out, stream)
}

func (c *Conn) flush() error {
	_, err := c.net.Write(c.out)
	c.out = c.out[:0]
	return err
}
