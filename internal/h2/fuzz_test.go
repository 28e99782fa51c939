package h2

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// FuzzFrames sends any bytes after a right beginning: the server may refuse them in any way, but neither panics nor hangs, and
// lets go of all that was held for the connection.
func FuzzFrames(f *testing.F) {
	r := &raw{}
	r.enc = hpack.NewEncoder(&r.buf)
	get, post := r.request("GET", "/"), r.request("POST", "/")
	head := func(id uint32, flags byte, b []byte) []byte {
		return frame(frameHeaders, flags|flagEndHeaders, id, b...)
	}
	f.Add(slices.Concat(head(1, flagEndStream, get), head(3, 0, post), frame(frameData, flagEndStream, 3, 1, 2, 3)))
	f.Add(slices.Concat(head(1, 0, post), frame(frameReset, 0, 1, number(8)...), frame(frameData, 0, 1, 1), head(1, 1, get)))
	f.Add(slices.Concat(frame(frameHeaders, 0, 1, get[:4]...), frame(frameContinuation, flagEndHeaders, 1, get[4:]...), frame(framePing, 0, 0, make([]byte, 8)...)))
	f.Add(slices.Concat(appendSettings(nil, settingWindow, 0), head(1, flagEndStream, get), frame(frameWindow, 0, 1, number(1)...), frame(frameWindow, 0, 0, number(70000)...)))
	f.Add(slices.Concat(head(1, flagPadded|flagPriority, append([]byte{2, 0, 0, 0, 0, 1}, append(post, 0, 0)...)), frame(frameData, flagPadded, 1, 3, 1, 0, 0, 0), appendGoAway(nil, 0, 0, "")))
	f.Add(slices.Concat(head(1, 0, post), head(1, flagEndStream, r.block("sum", "1")), frame(framePriority, 0, 1, 0, 0, 0, 3, 9)))
	sv := start(f, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, 5000+n%100000))
	}, func(c *Config) { c.HeaderTime, c.MaxHeader = 100*time.Millisecond, 16<<10 })
	f.Fuzz(func(t *testing.T, b []byte) {
		r := sv.dial(t)
		r.send(b)
		_ = r.c.CloseWrite()
		_, _ = io.Copy(io.Discard, r.c)
		_ = r.c.Close()
		sv.untilOpen(t, 0)
	})
}
