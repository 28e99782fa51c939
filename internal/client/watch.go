package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
)

// Event is one change seen by a Watcher. A bookmark carries only a resource version in its Object.
type Event[T Object] struct {
	Type   watch.EventType
	Object T
}

// Watcher reads the events of one watch in order. It is not safe for concurrent use, Close excepted.
type Watcher[T Object] struct {
	body   io.ReadCloser
	frames streaming.Decoder
	decode runtime.Decoder
}

// Watch follows the objects of namespace ns ("" for all) that o selects from o.ResourceVersion on.
func (r Resource[T]) Watch(ctx context.Context, ns string, o metav1.ListOptions) (*Watcher[T], error) {
	o.Watch = true
	resp, err := r.c.Do(ctx, Request{Method: http.MethodGet, Path: r.Path(ns), Query: listQuery(o),
		Accept: r.kind.accept(false, true)})
	if err != nil {
		return nil, err
	}
	frames := protobuf.LengthDelimitedFramer.NewFrameReader(resp.Body)
	return &Watcher[T]{body: resp.Body, frames: streaming.NewDecoder(frames, raw()), decode: r.kind.decoder()}, nil
}

// Next blocks for the next event. It returns io.EOF at the watch's orderly end and the server's own error where the
// server ended it (apierrors.IsResourceExpired: list again).
func (w *Watcher[T]) Next() (Event[T], error) {
	var e metav1.WatchEvent
	if _, _, err := w.frames.Decode(nil, &e); err != nil {
		return Event[T]{}, err
	}
	obj, _, err := w.decode.Decode(e.Object.Raw, nil, nil)
	if err != nil {
		return Event[T]{}, fmt.Errorf("watch event %s: %w", e.Type, err)
	}
	if st, ok := obj.(*metav1.Status); ok {
		return Event[T]{}, apierrors.FromObject(st)
	}
	t, ok := obj.(T)
	if !ok {
		return Event[T]{}, fmt.Errorf("watch event %s: object is a %T", e.Type, obj)
	}
	return Event[T]{watch.EventType(e.Type), t}, nil
}

// Close ends the watch; a blocked Next returns.
func (w *Watcher[T]) Close() error { return w.body.Close() }
