package apiserver

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
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

// TestSharedFrames: many watchers of either encoding and of any view get what each would get alone.
func TestSharedFrames(t *testing.T) {
	r := &resource{Resource: api.FindKind(corev1.SchemeGroupVersion.WithKind("Pod"))}
	r.watchers.Store(fewWatchers + 1)
	var all []*cache.Object
	for i := range 3 {
		name := strings.Repeat("p", 1+i)
		all = append(all, remembering(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{"long": strings.Repeat("x", i*largestFrame/2)}}}))
	}
	draw := rand.New(rand.NewPCG(1, 2))
	var watchers sync.WaitGroup
	for range 4 {
		seed := draw.Uint64()
		watchers.Go(func() {
			draw := rand.New(rand.NewPCG(seed, seed))
			for range 300 {
				o, kind := all[draw.IntN(len(all))], []string{"ADDED", "MODIFIED", "DELETED"}[draw.IntN(3)]
				media := []negotiate.Media{negotiate.Protobuf, negotiate.JSON}[draw.IntN(2)]
				want, err := r.appendStored([]byte("before"), kind, o, media)
				got, sharedErr := r.appendShared([]byte("before"), kind, o, media)
				if err != nil || sharedErr != nil || !bytes.Equal(got, want) {
					t.Errorf("%s %s %s: got %q (%v), want %q (%v)", o.Name, kind, media, got, sharedErr, want, err)
				}
			}
		})
	}
	watchers.Wait()
	p := &pacer{res: r, broad: true}
	p.end()
	for i := range r.frames {
		if r.frames[i].Load() != nil {
			t.Error("frames are kept for few watchers")
		}
	}
}

// TestSpill: whatever the sizes of events, what is written is all of them in order, and little is held meanwhile.
func TestSpill(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		rec := httptest.NewRecorder()
		e := &eventWriter{c: &call{w: rec}}
		var want []byte
		for range draw.IntN(30) {
			part := bytes.Repeat([]byte{byte('a' + draw.IntN(26))}, draw.IntN(2*chunk))
			e.buf, want = append(e.buf, part...), append(want, part...)
			if len(e.buf) < chunk {
				continue
			}
			if err := e.spill(); err != nil || len(e.buf) >= chunk {
				t.Fatalf("%d bytes are left (%v)", len(e.buf), err)
			}
		}
		if err := e.write(); err != nil || !bytes.Equal(rec.Body.Bytes(), want) {
			t.Fatalf("%d bytes were written of %d (%v)", rec.Body.Len(), len(want), err)
		}
	}
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		watchers int64
		want     time.Duration
	}{{0, 0}, {1, 0}, {8, 0}, {100, 40 * time.Millisecond}, {1000, 240 * time.Millisecond}, {1 << 40, 240 * time.Millisecond}} {
		if got := pace(c.watchers); got != c.want {
			t.Errorf("pace(%d) = %v, want %v", c.watchers, got, c.want)
		}
	}
	r := &resource{}
	r.watchers.Store(1000)
	p := &pacer{res: r, broad: true}
	if p.pause(t.Context()) {
		t.Error("the first event after a silence is held back")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p.flushed = time.Now().Add(time.Hour)
	if !p.pause(ended) {
		t.Error("a second event at once is not held back")
	}
	if p.broad = false; p.pause(t.Context()) {
		t.Error("a watcher of chosen objects is held back")
	}
}
