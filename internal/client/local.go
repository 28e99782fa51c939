package client

import (
	"context"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// Local is a RoundTripper to a server of this process that can hand over what it has stored instead of bytes. The same
// authentication and authorisation stand before it as before RoundTrip.
type Local interface {
	http.RoundTripper
	// Follow answers a request to watch: it calls each with every change, in order, from one goroutine, until the watch
	// ends. object is a Stored, or nil for a bookmark; initialEnd marks the bookmark behind what was there at the
	// beginning. Follow returns nil at the watch's orderly end, the server's *apierrors.StatusError where the server ended
	// it, that of each, or the context's. A refused request comes back as the answer that RoundTrip gives.
	Follow(req *http.Request, each func(kind watch.EventType, object any, revision int64, initialEnd bool) error) (refused *http.Response, err error)
}

// change is one event of Local.Follow.
type change struct {
	kind       watch.EventType
	object     Stored // nil for Bookmark; for Deleted the last state
	revision   int64
	initialEnd bool
}

// Stored is an object as a server in this process holds it. It is immutable; its memory is the server's.
type Stored interface {
	Namespace() string
	Name() string
	Revision() int64
	Labels() labels.Labels
	// Decode makes the object, in the version that was asked for, with its resourceVersion and without managedFields. The
	// result is the caller's own.
	Decode() (runtime.Object, error)
}

// follow is Watch for servers of this process. ok is false for any other server: nothing has happened then.
func (r Resource[T]) follow(ctx context.Context, ns string, o watchOptions, each func(change) error) (ok bool, err error) {
	local, ok := r.c.http.(Local)
	if !ok {
		return false, nil
	}
	call := Request{Method: http.MethodGet, Path: r.Path(ns), Query: o.query(), Accept: r.kind.accept(false, true)}
	req, err := r.c.request(ctx, call)
	if err != nil {
		return true, err
	}
	refused, err := local.Follow(req, func(kind watch.EventType, object any, revision int64, initialEnd bool) error {
		c := change{kind: kind, revision: revision, initialEnd: initialEnd}
		if object != nil {
			stored, is := object.(Stored)
			if !is {
				return fmt.Errorf("watch event %s: object is a %T", kind, object)
			}
			c.object = stored
		}
		return each(c)
	})
	if refused != nil {
		defer refused.Body.Close()
		return true, statusError(refused, call)
	}
	return true, err
}
