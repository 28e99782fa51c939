package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// get answers with one object as stored.
func (c *call) get() error {
	o := &metav1.GetOptions{}
	if err := parseQuery(c.query, o); err != nil {
		return err
	}
	if err := c.s.waitFor(c.ctx(), o.ResourceVersion); err != nil {
		return err
	}
	obj, ok := c.s.cache.Get(c.key())
	if !ok {
		return apierrors.NewNotFound(c.gr(), c.info.Name)
	}
	return c.answer(http.StatusOK, obj)
}

// waitFor returns when the cache is not older than a request's resourceVersion: "" is now, "0" is anything.
func (s *Server) waitFor(ctx context.Context, version string) error {
	if version == "" {
		_, err := s.cache.Fresh(ctx)
		return err
	}
	rev, err := revisionOf(version)
	if err != nil {
		return err
	}
	return s.waitRevision(ctx, rev)
}

// patience is how long a read waits for a revision that has not been seen.
const patience = 3 * time.Second

func (s *Server) waitRevision(ctx context.Context, rev int64) error {
	if rev <= s.cache.Revision() {
		return nil
	}
	// Progress is only seen with a write; what the store has acknowledged, Fresh waits for.
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if now, err := s.cache.Fresh(wait); err == nil && rev <= now {
		return nil
	}
	if err := s.cache.WaitFor(wait, rev); err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return tooNew(rev, s.cache.Revision())
		}
		return err
	}
	return nil
}

// tooNew is the error for a revision that did not come in time.
func tooNew(rev, current int64) error {
	const text = "Too large resource version"
	err := apierrors.NewTimeoutError(fmt.Sprintf("%s: %d, current: %d", text, rev, current), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: text}}
	return err
}
