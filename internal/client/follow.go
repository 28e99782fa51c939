package client

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// run follows the server until ctx ends, with a growing pause after failures, and after watches that end as soon as they
// begin: a server, or what stands before it, may do so for a long time.
func (v *View[T]) run(ctx context.Context) error {
	const first, most = 50 * time.Millisecond, 10 * time.Second
	pause := first
	for ctx.Err() == nil {
		began := time.Now()
		progressed, err := v.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if progressed && time.Since(began) > first {
			pause = first
			if err == nil {
				continue
			}
		}
		if err != nil {
			v.log.Warn("view lost its watch", "err", err, "pause", pause)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, most)
	}
	return ctx.Err()
}

func (v *View[T]) follow(ctx context.Context) (progressed bool, err error) {
	if local, progressed, err := v.followStored(ctx); local {
		return progressed, v.expire(err)
	}
	return v.followWire(ctx)
}

// at is the revision up to which the view has seen everything; 0 where it has to begin anew.
func (v *View[T]) at() uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if !v.synced {
		return 0
	}
	return v.rev
}

// followWire lists where that is needed, then applies watch events until the watch ends.
func (v *View[T]) followWire(ctx context.Context) (progressed bool, err error) {
	rev := v.at()
	if rev == 0 {
		if rev, err = v.relist(ctx); err != nil {
			return false, err
		}
	}
	o := v.opts
	o.ResourceVersion, o.AllowWatchBookmarks = strconv.FormatUint(rev, 10), true
	w, err := v.r.Watch(ctx, "", o)
	if err != nil {
		return false, v.expire(err)
	}
	defer w.Close()
	for {
		e, err := w.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return true, nil
		}
		if err != nil {
			return true, v.expire(err)
		}
		v.apply(e)
	}
}

// expire makes the next round list again where the server no longer knows our revision.
func (v *View[T]) expire(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		v.mu.Lock()
		v.rev = 0
		v.mu.Unlock()
	}
	return err
}

func (v *View[T]) relist(ctx context.Context) (uint64, error) {
	items, list, err := v.r.List(ctx, "", v.opts)
	if err != nil {
		return 0, err
	}
	rev, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0, err
	}
	v.deliver.Lock()
	defer v.deliver.Unlock()
	seen := make(map[place]bool, len(items))
	for _, t := range items {
		h := wholly(t)
		seen[h.place()] = true
		v.renew(h)
	}
	v.keep(seen)
	v.move(rev)
	return rev, nil
}

func (v *View[T]) apply(e Event[T]) {
	rev, _ := strconv.ParseUint(e.Object.GetResourceVersion(), 10, 64)
	v.deliver.Lock()
	defer v.deliver.Unlock()
	switch e.Type {
	case watch.Added, watch.Modified:
		v.set(wholly(e.Object))
	case watch.Deleted:
		v.drop(place{e.Object.GetNamespace(), e.Object.GetName()})
	}
	v.move(rev)
}

// watchOptions are ListOptions with what only a watch can ask for.
type watchOptions struct {
	metav1.ListOptions
	initial bool // begin with what is there
}

func (o watchOptions) query() url.Values {
	o.Watch = true
	q := listQuery(o.ListOptions)
	if o.initial {
		q.Set("sendInitialEvents", "true")
		q.Set("resourceVersionMatch", string(metav1.ResourceVersionMatchNotOlderThan))
	}
	return q
}

// followStored is followWire with a server of this process, whose objects the view shares. local is false for others.
func (v *View[T]) followStored(ctx context.Context) (local, progressed bool, err error) {
	o := watchOptions{ListOptions: v.opts}
	o.AllowWatchBookmarks = true
	rev := v.at()
	var seen map[place]bool
	if rev == 0 {
		o.initial, seen = true, map[place]bool{}
	} else {
		o.ResourceVersion = strconv.FormatUint(rev, 10)
	}
	local, err = v.r.follow(ctx, "", o, func(c change) error {
		progressed = true
		v.deliver.Lock()
		defer v.deliver.Unlock()
		v.take(c, seen)
		if c.initialEnd {
			seen = nil
		}
		return nil
	})
	return local, progressed, err
}

// take applies one change; seen is what has been sent of the beginning, nil after it. The caller holds deliver.
func (v *View[T]) take(c change, seen map[place]bool) {
	switch c.kind {
	case watch.Added, watch.Modified:
		h := &held[T]{stored: c.object}
		if seen == nil {
			v.set(h)
			break
		}
		seen[h.place()] = true
		v.renew(h)
		return // the revision of an object that was there says nothing of the others
	case watch.Deleted:
		v.drop(place{c.object.Namespace(), c.object.Name()})
	}
	if c.initialEnd {
		v.keep(seen)
	}
	v.move(uint64(c.revision))
}
