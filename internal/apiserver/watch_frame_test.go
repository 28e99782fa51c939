package apiserver

import (
	"bytes"
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
)

// TestEventsInOneGo: what appendStored frames is what the parts frame one by one.
func TestEventsInOneGo(t *testing.T) {
	o := remembering(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", Labels: map[string]string{"a": "<b>"}}})
	r := &resource{Resource: api.FindKind(corev1.SchemeGroupVersion.WithKind("Pod"))}
	for _, media := range []negotiate.Media{negotiate.Protobuf, negotiate.JSON} {
		got, err := r.appendStored([]byte("before"), "MODIFIED", o, media)
		if err != nil {
			t.Fatal(err)
		}
		out := negotiate.Output{Media: media}
		e := &eventWriter{c: &call{res: r, out: out}, buf: []byte("before")}
		body, err := r.body(o, out)
		if err != nil {
			t.Fatal(err)
		}
		e.frame("MODIFIED", body)
		if !bytes.Equal(got, e.buf) {
			t.Errorf("%s:\n got %q\nwant %q", media, got, e.buf)
		}
	}
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		watchers int64
		want     time.Duration
	}{{0, 0}, {1, 0}, {8, 0}, {100, 10 * time.Millisecond}, {1000, 50 * time.Millisecond}, {1 << 40, 50 * time.Millisecond}} {
		if got := pace(c.watchers); got != c.want {
			t.Errorf("pace(%d) = %v, want %v", c.watchers, got, c.want)
		}
	}
	r := &resource{}
	r.watchers.Store(1000)
	if r.pause(t.Context(), time.Time{}) {
		t.Error("the first event after a silence is held back")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if !r.pause(ended, time.Now().Add(time.Hour)) {
		t.Error("a second event at once is not held back")
	}
}
