package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestHear: no event is lost or doubled, however the stream is cut, and the last one says where to go on.
func TestHear(t *testing.T) {
	const events = 200
	for _, f := range []format{inProtobuf, inJSON} {
		var stream bytes.Buffer
		for i := range events {
			stream.Write(event(t, f, i))
		}
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(stream.Bytes()), "by bytes": iotest.OneByteReader(bytes.NewReader(stream.Bytes())),
			"torn": torn{bytes.NewReader(stream.Bytes()), rand.New(rand.NewPCG(1, 2))}} {
			w := &watcher{format: f, body: r}
			if err := w.hear(events); err != nil || len(w.late) != events {
				t.Errorf("%s, %s: %d of %d events: %v", f.name, name, len(w.late), events, err)
			}
			if got, err := f.version(w.last); err != nil || got != fmt.Sprint(events-1) {
				t.Errorf("%s, %s: the last event is %q (%v)", f.name, name, got, err)
			}
		}
	}
}

// torn reads pieces of any length.
type torn struct {
	r    io.Reader
	draw *rand.Rand
}

func (r torn) Read(p []byte) (int, error) { return r.r.Read(p[:1+r.draw.IntN(len(p))]) }

func event(t *testing.T, f format, i int) []byte {
	t.Helper()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m", ResourceVersion: fmt.Sprint(i)},
		Data: map[string]string{"filler": filler, "time": fmt.Sprintf("%s%019d", mark, time.Now().UnixNano())}}
	if f.name == inJSON.name {
		return fmt.Appendf(nil, `{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"%d"},"data":{"filler":%q,"time":%q}}}`+"\n", i, filler, m.Data["time"])
	}
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	u, err := (&runtime.Unknown{Raw: raw}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	e, err := (&metav1.WatchEvent{Type: "MODIFIED", Object: runtime.RawExtension{Raw: append([]byte("k8s\x00"), u...)}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{byte(len(e) >> 24), byte(len(e) >> 16), byte(len(e) >> 8), byte(len(e))}, e...)
}
