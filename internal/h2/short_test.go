package h2

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestShortBodies: a handler is started when its short body has come, in however many frames; one whose body does not come is
// started too, and one that is given up meanwhile never, and its room is given back.
func TestShortBodies(t *testing.T) {
	began := make(chan string, 4)
	sv := start(t, func(w http.ResponseWriter, r *http.Request) {
		began <- r.URL.Path
		b, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %v", b, err)
	}, nil)
	sv.s.bodyTime = time.Hour
	r := sv.dial(t)
	answer := func(want string) {
		t.Helper()
		for {
			h, p := r.until(frameData)
			if h.kind == 255 {
				return
			}
			if len(p) > 0 {
				if string(p) != want {
					t.Errorf("the answer is %q, want %q", p, want)
				}
				return
			}
		}
	}
	post := func(stream uint32, path string, length int) {
		r.send(frame(frameHeaders, flagEndHeaders, stream, r.request("POST", path, "content-length", fmt.Sprint(length))...))
	}

	post(1, "/whole", 5)
	r.send(frame(frameData, 0, 1, 'h', 'e'))
	r.send(frame(framePing, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8))
	r.until(framePing) // all before it has been taken
	select {
	case path := <-began:
		t.Errorf("%s began without its body", path)
	default:
	}
	r.send(frame(frameData, flagEndStream, 1, 'l', 'l', 'o'))
	answer("hello <nil>")
	<-began

	for n := uint32(0); n < 2*connWindow/shortBody; n++ { // more than the connection's window, if it were not given back
		post(3+2*n, "/given-up", shortBody)
		for range shortBody/leastFrame - 1 {
			r.send(frame(frameData, 0, 3+2*n, make([]byte, leastFrame)...))
		}
		r.send(frame(frameReset, 0, 3+2*n, number(8)...))
	}

	sv.s.bodyTime = time.Millisecond
	r = sv.dial(t)
	post(1, "/late", 5)
	if path := <-began; path != "/late" {
		t.Errorf("%s began", path)
	}
	r.send(frame(frameData, flagEndStream, 1, 'h', 'e', 'l', 'l', 'o'))
	answer("hello <nil>")
}
