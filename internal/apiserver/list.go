package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// page is the selected part of one state.
type page struct {
	objects []*cache.Object
	meta    metav1.ListMeta
}

// list answers with the selected objects of one state.
func (c *call) list() error {
	o, err := c.listOptions()
	if err != nil {
		return err
	}
	sel := c.selectionOf(o)
	p, err := c.page(o, &sel)
	if err != nil {
		return err
	}
	return c.answerList(p)
}

// page reads the state that the options name and takes what the limit allows.
func (c *call) page(o *internalversion.ListOptions, sel *picked) (*page, error) {
	snap, from, err := c.snapshot(o, sel.prefix)
	if err != nil {
		return nil, err
	}
	p := &page{meta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(snap.Revision(), 10)}}
	// Upstream answers reads of any state from its cache in full.
	limit := o.Limit
	if o.ResourceVersion == "0" && o.ResourceVersionMatch != metav1.ResourceVersionMatchExact {
		limit = 0
	}
	if limit == 0 && sel.all() {
		p.objects = make([]*cache.Object, 0, snap.Count(sel.prefix, from))
	}
	more := false
	sel.each(snap, from, func(obj *cache.Object) bool {
		if limit > 0 && int64(len(p.objects)) == limit {
			more = true
			return false
		}
		p.objects = append(p.objects, obj)
		return true
	})
	if !more {
		return p, nil
	}
	next := p.objects[len(p.objects)-1].Key + "\x00"
	if p.meta.Continue, err = encodeContinue(next, sel.prefix, snap.Revision()); err != nil {
		return nil, err
	}
	if sel.all() {
		left := int64(snap.Count(sel.prefix, next))
		p.meta.RemainingItemCount = &left
	}
	return p, nil
}

// snapshot finds the state that the options name, and where in it to begin.
func (c *call) snapshot(o *internalversion.ListOptions, prefix string) (*cache.Snapshot, string, error) {
	s, base := c.s, c.res.Prefix+"/"
	if o.Continue != "" {
		return c.continued(o, prefix)
	}
	rev, err := revisionOf(o.ResourceVersion)
	if err != nil {
		return nil, "", apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", err))
	}
	exact := o.ResourceVersionMatch == metav1.ResourceVersionMatchExact || o.ResourceVersionMatch == "" && o.Limit > 0 && rev > 0
	if err := s.waitFor(c.ctx(), o.ResourceVersion); err != nil {
		return nil, "", err
	}
	if exact && rev > 0 {
		snap, err := s.stateAt(c.ctx(), base, rev)
		if errors.Is(err, cache.ErrExpired) {
			return nil, "", apierrors.NewResourceExpired("The resourceVersion for the provided list is too old.")
		}
		return snap, "", err
	}
	snap, err := s.cache.Snapshot(base)
	return snap, "", err
}

// stateAt is the state as of rev: from the cache's log or, where that does not reach back so far, from the store.
// It returns cache.ErrExpired where the store has forgotten it: also where the cache's log reaches further back, for clients
// count on old pages to expire.
func (s *Server) stateAt(ctx context.Context, prefix string, rev int64) (*cache.Snapshot, error) {
	if rev < s.store.Floor() {
		return nil, cache.ErrExpired
	}
	snap, err := s.cache.SnapshotAt(prefix, rev)
	if errors.Is(err, cache.ErrExpired) {
		return s.cache.LoadAt(ctx, prefix, rev)
	}
	return snap, err
}

// continued finds the state of a list's first page again.
func (c *call) continued(o *internalversion.ListOptions, prefix string) (*cache.Snapshot, string, error) {
	from, rev, err := decodeContinue(o.Continue, prefix)
	if err != nil {
		return nil, "", apierrors.NewBadRequest(fmt.Sprintf("invalid continue token: %v", err))
	}
	if o.ResourceVersion != "" && o.ResourceVersion != "0" {
		return nil, "", apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
	}
	base := c.res.Prefix + "/"
	if rev < 0 {
		if _, err := c.s.cache.Fresh(c.ctx()); err != nil {
			return nil, "", err
		}
		snap, err := c.s.cache.Snapshot(base)
		return snap, from, err
	}
	if err := c.s.waitRevision(c.ctx(), rev); err != nil {
		return nil, "", err
	}
	snap, err := c.s.stateAt(c.ctx(), base, rev)
	if errors.Is(err, cache.ErrExpired) {
		return nil, "", continueExpired(from, prefix)
	}
	return snap, from, err
}

// continueExpired tells that the first page's state is gone, and gives a token by which to go on in the newest one.
func continueExpired(from, prefix string) error {
	const text = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter"
	token, err := encodeContinue(from, prefix, -1)
	if err != nil {
		return apierrors.NewResourceExpired(text + ".")
	}
	e := apierrors.NewResourceExpired(text + ", or use the continue token in this response to retrieve the remainder of the results. " +
		"Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted " +
		"between the time the first chunk was returned and now may show up in the list.")
	e.ErrStatus.ListMeta.Continue = token
	return e
}

// wrongShape tells that an answer of this kind cannot take the form that was asked for.
func wrongShape(shape negotiate.Shape, is string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotAcceptable,
		Reason: metav1.StatusReasonNotAcceptable, Message: fmt.Sprintf("you requested %s, but the requested object is %s", shape, is)}}
}
