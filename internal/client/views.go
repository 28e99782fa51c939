package client

import (
	"context"
	"log/slog"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/run"
)

// Views holds the shared mirrors of one client: one a kind and selection, started when first asked for.
type Views struct {
	c *Client
	*mirrors
}

// mirrors is what all Views made from one another by As share.
type mirrors struct {
	reader *Client
	log    *slog.Logger
	scope  *run.Scope

	mu    sync.Mutex
	views map[viewKey]any
}

type viewKey struct {
	gvr, fields, labels string
	metadata            bool
}

// NewViews returns an empty set whose mirrors live until ctx ends; the owner calls Wait afterwards.
func NewViews(ctx context.Context, c *Client, log *slog.Logger) *Views {
	return &Views{c, &mirrors{reader: c, log: log, scope: run.NewScope(ctx), views: map[viewKey]any{}}}
}

// As returns the same mirrors with another client for what is not read through them: a part of the control plane
// writes as itself, and reads what all of them read.
func (vs *Views) As(c *Client) *Views { return &Views{c, vs.mirrors} }

// Wait returns after all mirrors have ended.
func (vs *Views) Wait() error { return vs.scope.Wait() }

// Client is the client for writes and for reads past the mirrors.
func (vs *Views) Client() *Client { return vs.c }

// ViewOf returns the mirror of all objects of kind k.
func ViewOf[T Object](vs *Views, k Kind[T]) *View[T] {
	return SelectedViewOf(vs, k, metav1.ListOptions{})
}

// SelectedViewOf returns the mirror of the objects of kind k that o's field and label selectors choose.
func SelectedViewOf[T Object](vs *Views, k Kind[T], o metav1.ListOptions) *View[T] {
	key := viewKey{k.GroupVersion.String() + "/" + k.Resource, o.FieldSelector, o.LabelSelector, k.metadata}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v, ok := vs.views[key]; ok {
		return v.(*View[T])
	}
	v := newView(Of(vs.reader, k), metav1.ListOptions{FieldSelector: o.FieldSelector, LabelSelector: o.LabelSelector}, vs.log)
	vs.views[key] = v
	vs.scope.Go("view "+k.Resource, v.run)
	return v
}
