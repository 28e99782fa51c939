package h2

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// TestRefuses tells what becomes of a connection on which a client does what it may not.
func TestRefuses(t *testing.T) {
	const conn, stream, lives = "connection 0x", "stream 0x", "lives"
	headers := func(id uint32, flags byte, b []byte) []byte {
		return frame(frameHeaders, flags|flagEndHeaders, id, b...)
	}
	get := func(r *raw, id uint32, more ...string) []byte {
		return headers(id, flagEndStream, r.request("GET", "/", more...))
	}
	post := func(r *raw, id uint32, more ...string) []byte {
		return headers(id, 0, r.request("POST", "/wait", more...))
	}
	for name, c := range map[string]struct {
		send func(*raw) []byte
		want string
	}{
		"a request":          {func(r *raw) []byte { return get(r, 1) }, lives},
		"unknown frame":      {func(r *raw) []byte { return frame(77, 1, 0, 1, 2) }, lives},
		"PRIORITY":           {func(r *raw) []byte { return frame(framePriority, 0, 7, 0, 0, 0, 1, 0) }, lives},
		"PRIORITY of itself": {func(r *raw) []byte { return frame(framePriority, 0, 1, 0, 0, 0, 1, 0) }, stream + "1"},
		"PRIORITY short":     {func(r *raw) []byte { return frame(framePriority, 0, 1, 0) }, stream + "6"},
		"upper case":         {func(r *raw) []byte { return get(r, 1, "Accept", "x") }, stream + "1"},
		"connection field":   {func(r *raw) []byte { return get(r, 1, "connection", "close") }, stream + "1"},
		"te":                 {func(r *raw) []byte { return get(r, 1, "te", "gzip") }, stream + "1"},
		"te trailers":        {func(r *raw) []byte { return get(r, 1, "te", "trailers") }, lives},
		"line break":         {func(r *raw) []byte { return get(r, 1, "a", "b\r\nc") }, stream + "1"},
		"no path":            {func(r *raw) []byte { return headers(1, 1, r.block(":method", "GET", ":scheme", "https")) }, stream + "1"},
		"no method":          {func(r *raw) []byte { return headers(1, 1, r.block(":path", "/", ":scheme", "https")) }, stream + "1"},
		"path twice":         {func(r *raw) []byte { return headers(1, 1, r.request("GET", "/", ":path", "/")) }, stream + "1"},
		"pseudo late":        {func(r *raw) []byte { return get(r, 1, "a", "b", ":authority", "x") }, stream + "1"},
		"pseudo unknown":     {func(r *raw) []byte { return get(r, 1, ":status", "200") }, stream + "1"},
		"extended CONNECT":   {func(r *raw) []byte { return get(r, 1, ":protocol", "websocket") }, stream + "1"},
		"CONNECT with path":  {func(r *raw) []byte { return headers(1, 1, r.request("CONNECT", "/")) }, stream + "1"},
		"user in authority": {func(r *raw) []byte {
			return headers(1, 1, r.block(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "u@h"))
		}, stream + "1"},
		"bad path":             {func(r *raw) []byte { return headers(1, 1, r.request("GET", "x")) }, stream + "1"},
		"method of two words":  {func(r *raw) []byte { return headers(1, 1, r.request("GET IT", "/")) }, stream + "1"},
		"bad length":           {func(r *raw) []byte { return post(r, 1, "content-length", "x") }, stream + "1"},
		"more than its length": {func(r *raw) []byte { return append(post(r, 1, "content-length", "1"), frame(frameData, 1, 1, 1, 2)...) }, stream + "1"},
		"less than its length": {func(r *raw) []byte { return append(post(r, 1, "content-length", "3"), frame(frameData, 1, 1, 1, 2)...) }, stream + "1"},
		"even stream":          {func(r *raw) []byte { return get(r, 2) }, conn + "1"},
		"stream 0":             {func(r *raw) []byte { return get(r, 0) }, conn + "1"},
		"stream goes down":     {func(r *raw) []byte { return append(get(r, 5), get(r, 3)...) }, conn + "1"},
		"DATA of stream 0":     {func(r *raw) []byte { return frame(frameData, 0, 0, 1) }, conn + "1"},
		"DATA of idle":         {func(r *raw) []byte { return frame(frameData, 0, 9, 1) }, conn + "1"},
		"RST of idle":          {func(r *raw) []byte { return frame(frameReset, 0, 9, 0, 0, 0, 8) }, conn + "1"},
		"RST short":            {func(r *raw) []byte { return frame(frameReset, 0, 9, 0, 0, 8) }, conn + "6"},
		"WINDOW of idle":       {func(r *raw) []byte { return frame(frameWindow, 0, 9, 0, 0, 0, 8) }, conn + "1"},
		"WINDOW by nothing":    {func(r *raw) []byte { return frame(frameWindow, 0, 0, 0, 0, 0, 0) }, conn + "1"},
		"WINDOW too large":     {func(r *raw) []byte { return frame(frameWindow, 0, 0, 0x7f, 0xff, 0xff, 0xff) }, conn + "3"},
		"stream's WINDOW":      {func(r *raw) []byte { return append(post(r, 1), frame(frameWindow, 0, 1, 0x7f, 0xff, 0xff, 0xff)...) }, stream + "3"},
		"stream's by nothing":  {func(r *raw) []byte { return append(post(r, 1), frame(frameWindow, 0, 1, 0, 0, 0, 0)...) }, stream + "1"},
		"SETTINGS overflow": {func(r *raw) []byte {
			return slices.Concat(post(r, 1), frame(frameWindow, 0, 1, 0x7f, 0xff, 0, 0), appendSettings(nil, settingWindow, 1<<31-1))
		}, conn + "3"},
		"SETTINGS window":         {func(r *raw) []byte { return appendSettings(nil, settingWindow, 1<<31) }, conn + "3"},
		"SETTINGS frame":          {func(r *raw) []byte { return appendSettings(nil, settingFrame, 16383) }, conn + "1"},
		"SETTINGS push":           {func(r *raw) []byte { return appendSettings(nil, settingPush, 2) }, conn + "1"},
		"SETTINGS odd":            {func(r *raw) []byte { return frame(frameSettings, 0, 0, 1) }, conn + "6"},
		"SETTINGS of stream":      {func(r *raw) []byte { return frame(frameSettings, 0, 1) }, conn + "1"},
		"SETTINGS unknown":        {func(r *raw) []byte { return appendSettings(nil, 99, 99) }, lives},
		"ACK of nothing":          {func(r *raw) []byte { return slices.Concat(frame(frameSettings, 1, 0), frame(frameSettings, 1, 0)) }, conn + "1"},
		"PING short":              {func(r *raw) []byte { return frame(framePing, 0, 0, 1) }, conn + "6"},
		"PING of stream":          {func(r *raw) []byte { return frame(framePing, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8) }, conn + "1"},
		"push":                    {func(r *raw) []byte { return frame(framePush, 4, 1, 0, 0, 0, 2) }, conn + "1"},
		"CONTINUATION of nothing": {func(r *raw) []byte { return frame(frameContinuation, 4, 1) }, conn + "1"},
		"block not continued": {func(r *raw) []byte {
			return append(frame(frameHeaders, 0, 1, r.request("GET", "/")...), frame(framePing, 0, 0, make([]byte, 8)...)...)
		}, conn + "1"},
		"block torn": {func(r *raw) []byte {
			b := r.request("GET", "/")
			return append(frame(frameHeaders, 1, 1, b[:3]...), frame(frameContinuation, 4, 1, b[3:]...)...)
		}, lives},
		"HPACK rubbish":         {func(r *raw) []byte { return headers(1, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) }, conn + "9"},
		"padding":               {func(r *raw) []byte { return frame(frameHeaders, 4|flagPadded, 1, 200, 1) }, conn + "1"},
		"frame too large":       {func(r *raw) []byte { return frame(77, 0, 0, make([]byte, leastFrame+1)...) }, conn + "6"},
		"trailer in the middle": {func(r *raw) []byte { return append(post(r, 1), headers(1, 0, r.block("a", "b"))...) }, stream + "1"},
		"trailer with pseudo":   {func(r *raw) []byte { return append(post(r, 1), headers(1, 1, r.block(":path", "b"))...) }, stream + "1"},
		"DATA after the end": {func(r *raw) []byte {
			return slices.Concat(headers(1, 1, r.request("POST", "/wait")), frame(frameData, 0, 1, 1))
		}, stream + "5"},
		"HEADERS after the end": {func(r *raw) []byte { return slices.Concat(headers(1, 1, r.request("POST", "/wait")), get(r, 1)) }, stream + "5"},
		"DATA after a reset": {func(r *raw) []byte {
			return slices.Concat(post(r, 1), frame(frameReset, 0, 1, 0, 0, 0, 8), frame(frameData, 0, 1, 1))
		}, stream + "5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sv := start(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/wait" {
					<-r.Context().Done()
				}
			}, nil)
			r := sv.dial(t)
			r.send(c.send(r))
			if got := r.fate(); got != c.want {
				t.Errorf("%s instead of %s", got, c.want)
			}
		})
	}
}

// TestNotHTTP2 is a client that says something else.
func TestNotHTTP2(t *testing.T) {
	sv := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", preface + "\x00\x00\x00\x06\x00\x00\x00\x00\x00"} {
		r := sv.dial(t)
		r.send(nil)
		r = &raw{t: t, c: r.c, dec: r.dec}
		r.send([]byte(text))
		if h, _ := r.until(frameGoAway); h.kind != frameGoAway {
			t.Errorf("%q was not refused", text)
		}
	}
}

// TestLongHeaders: too long a list is told so, too long a block ends the connection.
func TestLongHeaders(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {}, func(c *Config) { c.MaxHeader = 8 << 10 })
	r := sv.dial(t)
	r.send(frame(frameHeaders, flagEndHeaders|flagEndStream, 1, r.request("GET", "/", "a", strings.Repeat("x", 7<<10), "b", strings.Repeat("y", 2<<10))...))
	_, p := r.until(frameHeaders)
	status := ""
	r.dec.SetEmitFunc(func(f hpack.HeaderField) {
		if f.Name == ":status" {
			status = f.Value
		}
	})
	if _, err := r.dec.Write(p); err != nil || status != "431" {
		t.Errorf("status %s, %v", status, err)
	}
	r.send(frame(frameHeaders, 0, 3, r.request("GET", "/")...))
	for range 2000 { // a flood of CONTINUATIONs
		r.send(frame(frameContinuation, 0, 3, bytes.Repeat([]byte{0x82}, 100)...))
	}
	if h, p := r.until(frameGoAway); h.kind == frameGoAway && p[7] != byte(enhanceYourCalm) {
		t.Errorf("code %d", p[7])
	}
}

// TestFloods end the connection, or cost the client as much as the server.
func TestFloods(t *testing.T) {
	running := make(chan struct{}, 1000)
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		running <- struct{}{}
		<-r.Context().Done()
	}, func(c *Config) { c.MaxStreams = 10 })
	for name, f := range map[string]func(r *raw, i int) []byte{
		"empty DATA":     func(r *raw, i int) []byte { return frame(frameData, 0, 1) },
		"SETTINGS":       func(r *raw, i int) []byte { return appendSettings(nil) },
		"unknown":        func(r *raw, i int) []byte { return frame(99, 0, 0) },
		"empty blocks":   func(r *raw, i int) []byte { return frame(frameContinuation, 0, 3) },
		"other's GOAWAY": func(r *raw, i int) []byte { return appendGoAway(nil, 0, 0, "") },
	} {
		r := sv.dial(t)
		r.send(frame(frameHeaders, flagEndHeaders, 1, r.request("POST", "/")...))
		if name == "empty blocks" {
			r.send(frame(frameHeaders, 0, 3, r.request("GET", "/")...))
		}
		go func() {
			for i := range 2 * mostIdle {
				r.send(f(r, i))
			}
		}()
		if h, p := r.until(frameGoAway); h.kind == frameGoAway && p[7] != byte(enhanceYourCalm) {
			t.Errorf("%s: code %d", name, p[7])
		}
	}
}

// TestDeaf: who asks for ever and does not read is cut off, and is not made to wait: it may read once it has written.
func TestDeaf(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {}, nil)
	r := sv.dial(t)
	ping := bytes.Repeat(frame(framePing, 0, 0, make([]byte, 8)...), 1000)
	for range 10000 { // 170 MB: far more than sockets and queues hold
		if _, err := r.c.Write(ping); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the server reads no more")
			}
			return
		}
	}
	t.Error("all pings were taken")
}

// TestRapidReset: streams that are opened and given up at once do not run more handlers than may run.
func TestRapidReset(t *testing.T) {
	const most = 10
	running, release := make(chan struct{}, 1000), make(chan struct{})
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		running <- struct{}{}
		<-release // it does not hear that nobody waits
	}, func(c *Config) { c.MaxStreams = most })
	defer close(release)
	r := sv.dial(t)
	go func() {
		for i := range uint32(10 * most) {
			r.send(append(frame(frameHeaders, flagEndHeaders|flagEndStream, 2*i+1, r.request("GET", "/")...), frame(frameReset, 0, 2*i+1, number(8)...)...))
		}
	}()
	if h, p := r.until(frameGoAway); h.kind == frameGoAway && p[7] != byte(enhanceYourCalm) {
		t.Errorf("code %d", p[7])
	}
	if n := len(running); n > most {
		t.Errorf("%d handlers ran", n)
	}
}

// TestTooManyStreams are refused in a way that lets the client ask again, and those that wait come to their turn.
func TestTooManyStreams(t *testing.T) {
	release := make(chan struct{})
	sv := start(t, func(w http.ResponseWriter, r *http.Request) { <-release }, func(c *Config) { c.MaxStreams = 2 })
	r := sv.dial(t)
	for id := uint32(1); id < 7; id += 2 {
		r.send(frame(frameHeaders, flagEndHeaders|flagEndStream, id, r.request("GET", "/")...))
	}
	if h, p := r.until(frameReset); h.stream != 5 || p[3] != byte(refusedStream) {
		t.Errorf("stream %d: %v", h.stream, p)
	}
	close(release)
	r.until(frameHeaders)
	r.until(frameHeaders)
}

// TestSlowReader: a client that does not read holds up its own stream alone, and no memory beyond the windows.
func TestSlowReader(t *testing.T) {
	blocked := make(chan struct{})
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			_, _ = w.Write(make([]byte, firstWindow))
			close(blocked)
			_, _ = w.Write(make([]byte, 1<<20))
			return
		}
		w.WriteHeader(204)
	}, nil)
	r := sv.dial(t)
	r.send(frame(frameHeaders, flagEndHeaders|flagEndStream, 1, r.request("GET", "/long")...))
	<-blocked
	r.send(frame(frameHeaders, flagEndHeaders|flagEndStream, 3, r.request("GET", "/")...))
	r.send(frame(framePing, 0, 0, make([]byte, 8)...))
	seen := map[uint32]int{}
	for pong := false; !pong || seen[3] == 0; {
		h, p := r.next()
		switch h.kind {
		case 255:
			t.Fatal("the connection ended")
		case framePing:
			pong = true
		case frameHeaders:
			seen[h.stream]++
		case frameData:
			seen[0] += len(p)
		}
	}
	if seen[0] > firstWindow {
		t.Errorf("%d bytes were sent into a window of %d", seen[0], firstWindow)
	}
	r.send(append(frame(frameWindow, 0, 0, number(1<<20)...), frame(frameWindow, 0, 1, number(1<<20)...)...))
	for total := seen[0]; total < firstWindow+1<<20; {
		h, p := r.until(frameData)
		if h.kind == 255 {
			break
		}
		total += len(p)
	}
}

// TestUploadWindow: a client that sends more than the windows is cut off, also where the handler does not read.
func TestUploadWindow(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
	r := sv.dial(t)
	r.send(frame(frameHeaders, flagEndHeaders, 1, r.request("POST", "/")...))
	go func() {
		for range bodyWindow/leastFrame + 1 {
			r.send(frame(frameData, 0, 1, make([]byte, leastFrame)...))
		}
	}()
	if h, p := r.until(frameGoAway); h.kind == frameGoAway && p[7] != byte(flowControlError) {
		t.Errorf("code %d", p[7])
	}
}

// TestUnreadBodies give their room back: a connection lives through many requests whose bodies nobody reads.
func TestUnreadBodies(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400) }, nil)
	cl := sv.client(t)
	for range 100 {
		resp, err := cl.Post(sv.url, "", bytes.NewReader(make([]byte, 64<<10)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// TestHalfABlock: whoever does not go on with a header block loses the connection.
func TestHalfABlock(t *testing.T) {
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {}, func(c *Config) { c.HeaderTime = 20 * time.Millisecond })
	r := sv.dial(t)
	r.send(frame(frameHeaders, 0, 1, r.request("GET", "/")...))
	for {
		if h, _ := r.next(); h.kind == 255 {
			return
		}
	}
}
