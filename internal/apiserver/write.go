package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/store"
)

// optimisticLock is upstream's text for a write of a state that is no longer the newest.
const optimisticLock = "the object has been modified; please apply your changes to the latest version and try again"

// state is one object as the store has it. obj is the caller's own.
type state struct {
	obj      api.Object
	value    []byte
	revision int64
}

// written is what a write left behind.
type written struct {
	state
	created bool
	deleted bool // the write took the last finalizer away, and the object with it
}

// current reads the object at key: from the cache, or from the store where fresh is asked for. nil: there is none.
func (s *Server) current(ctx context.Context, r *resource, key string, fresh bool) (*state, error) {
	if !fresh {
		if o, ok := s.stored(key); ok {
			return r.state(o.Value(), o.Revision)
		}
	}
	kv, found, _, err := s.store.Get(ctx, key)
	if err != nil || !found {
		return nil, err
	}
	return r.state(kv.Value, kv.ModRevision)
}

func (r *resource) state(value []byte, revision int64) (*state, error) {
	obj, err := r.DecodeStorage(value)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	obj.SetResourceVersion(strconv.FormatInt(revision, 10))
	return &state{obj, value, revision}, nil
}

// copyOf is a deep copy of an object.
func copyOf[T runtime.Object](obj T) T { return obj.DeepCopyObject().(T) }

// attributes describe a write to admission.
func (c *call) attributes(op admission.Operation, obj, old, options runtime.Object, dryRun bool) *admission.Attributes {
	a := &admission.Attributes{User: c.user, Operation: op, Kind: c.res.Storage, Resource: c.res.GVR(), Subresource: c.info.Subresource,
		Namespace: c.info.Namespace, Name: c.info.Name, Object: obj, OldObject: old, Options: options, DryRun: dryRun}
	if c.sub != nil && c.sub.Strategy != nil && c.sub.Kind.Kind != "" {
		a.Kind = c.sub.Kind
	}
	if meta, ok := obj.(metav1.Object); ok && a.Name == "" {
		a.Name = meta.GetName()
	}
	if c.res.Name == "namespaces" && c.res.GroupVersion.Group == "" {
		a.Namespace = a.Name
	}
	return a
}

// admit runs the mutating plugins.
func (c *call) admit(a *admission.Attributes) error {
	if c.s.sec.Admission == nil {
		return nil
	}
	began := time.Now()
	err := c.s.sec.Admission.Admit(c.ctx(), a)
	c.s.cfg.Metrics.Admitted("admit", string(a.Operation), err != nil, time.Since(began))
	c.warn.add(a.Warnings...)
	return err
}

// vet runs the validating plugins.
func (c *call) vet(a *admission.Attributes) error {
	if c.s.sec.Admission == nil {
		return nil
	}
	began := time.Now()
	err := c.s.sec.Admission.Validate(c.ctx(), a)
	c.s.cfg.Metrics.Admitted("validate", string(a.Operation), err != nil, time.Since(began))
	c.warn.add(a.Warnings...)
	return err
}

// dedupOwners removes owner references that occur twice, and tells the client of it.
func (c *call) dedupOwners(obj metav1.Object, after bool) {
	refs := obj.GetOwnerReferences()
	var kept []metav1.OwnerReference
	var twice []string
	for _, ref := range refs {
		if slices.ContainsFunc(kept, func(k metav1.OwnerReference) bool { return apiequality.Semantic.DeepEqual(k, ref) }) {
			twice = append(twice, string(ref.UID))
		} else {
			kept = append(kept, ref)
		}
	}
	if len(twice) == 0 {
		return
	}
	when := ""
	if after {
		when = " after mutating admission happens"
	}
	c.warn.add(fmt.Sprintf(".metadata.ownerReferences contains duplicate entries%s; API server dedups owner references in 1.20+, and may reject "+
		"such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %v", when, strings.Join(twice, ", ")))
	obj.SetOwnerReferences(kept)
}

// edit makes the wanted object out of the present one, of which it may keep and change everything; old is nil where
// there is none. It runs again where another write came between.
type edit func(old api.Object) (api.Object, error)

// writeOptions of an update, however it came.
type writeOptions struct {
	options runtime.Object // for admission
	dryRun  bool
	create  bool // make the object where there is none
	// mayCreate is asked before an update creates; nil allows it.
	mayCreate func() error
}

// maxAttempts bounds the retries of writes that do not name the state they change.
const maxAttempts = 100

// mutate is upstream's guaranteed update: read, edit, admit, validate, write where nobody wrote in between, else again.
func (c *call) mutate(o writeOptions, f edit) (*written, error) {
	return c.settle(func(cur *state) (*written, error) { return c.attempt(o, cur, f) })
}

// settle tries a write on the state of the cache, nil where there is no object, and again on that of the store where
// another write came between, or where a refusal or a write without a change may rest on a state that the cache has not
// left yet.
func (c *call) settle(try func(cur *state) (*written, error)) (*written, error) {
	key := c.key()
	cur, err := c.s.current(c.ctx(), c.res, key, false)
	if err != nil {
		return nil, err
	}
	fresh := cur == nil // the store was asked
	for range maxAttempts {
		if err := c.ctx().Err(); err != nil {
			return nil, timedOut(err)
		}
		w, err := try(cur)
		var conflict *store.ConflictError
		switch {
		case err == nil && (fresh || w.revision != cur.revision):
			return w, nil
		case err == nil:
			next, err := c.newest(key, cur)
			if err != nil || next == cur {
				return w, err
			}
			cur = next
		case errors.As(err, &conflict) && conflict.Found:
			if cur, err = c.res.state(conflict.Current.Value, conflict.Current.ModRevision); err != nil {
				return nil, err
			}
		case errors.As(err, &conflict), errors.Is(err, store.ErrExists):
			if cur, err = c.s.current(c.ctx(), c.res, key, true); err != nil {
				return nil, err
			}
		case fresh:
			return nil, err
		default:
			next, readErr := c.newest(key, cur)
			if readErr != nil {
				return nil, readErr
			}
			if next == cur {
				return nil, err
			}
			cur = next
		}
		fresh = true
	}
	return nil, apierrors.NewConflict(c.gr(), c.info.Name, errors.New(optimisticLock))
}

// newest looks whether the store still has the state cur, which came from the cache: a write that changes nothing has not
// been held against the store. It returns cur itself where it does.
func (c *call) newest(key string, cur *state) (*state, error) {
	next, err := c.s.current(c.ctx(), c.res, key, true)
	if err == nil && next != nil && next.revision == cur.revision {
		return cur, nil
	}
	return next, err
}

func timedOut(err error) error {
	return apierrors.NewTimeoutError("request did not complete within requested timeout - "+err.Error(), 0)
}

// attempt is one round of mutate on the state cur.
func (c *call) attempt(o writeOptions, cur *state, f edit) (*written, error) {
	if cur == nil {
		return c.createByUpdate(o, f)
	}
	c.state = cur
	obj, err := f(copyOf(cur.obj))
	if err != nil {
		return nil, err
	}
	if err := c.admit(c.attributes(admission.Update, obj, cur.obj, o.options, o.dryRun)); err != nil {
		return nil, err
	}
	c.dedupOwners(obj, true)
	if err := c.checkVersion(obj, cur); err != nil {
		return nil, err
	}
	obj, done, err := c.prepareUpdate(obj, cur, o)
	if err != nil {
		return nil, err
	}
	defer done(false)
	if deleteNow(obj, cur.obj) {
		return c.deleteByUpdate(obj, cur, o)
	}
	w, err := c.store(obj, cur, o.dryRun)
	if err == nil {
		done(!o.dryRun)
	}
	return w, err
}

// prepareUpdate allocates, runs the kind's rules and the validating plugins. done releases what was allocated, or with
// true what the new state no longer holds.
func (c *call) prepareUpdate(obj api.Object, cur *state, o writeOptions) (api.Object, func(bool), error) {
	q := c.request()
	obj, done, err := c.s.addresses.update(c, obj, cur.obj, o.dryRun)
	if err != nil {
		return nil, nil, err
	}
	next, warned, err := c.res.BeforeUpdate(c.ctx(), q, obj, copyOf(cur.obj))
	if err == nil {
		c.warn.add(warned...)
		keepTimes(next, cur.obj)
		err = c.vet(c.attributes(admission.Update, next, cur.obj, o.options, o.dryRun))
	}
	if err != nil {
		done(false)
		return nil, nil, err
	}
	return next, done, nil
}

// checkVersion holds the client to the state it saw, where it says which.
func (c *call) checkVersion(obj api.Object, cur *state) error {
	version := obj.GetResourceVersion()
	if version == "" || version == "0" {
		if s := c.strategy(); s != nil && s.RequireResourceVersion {
			return needsVersion(c.gr(), c.info.Name)
		}
		obj.SetResourceVersion(strconv.FormatInt(cur.revision, 10))
		return nil
	}
	rev, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return err
	}
	if rev != uint64(cur.revision) {
		return apierrors.NewConflict(c.gr(), c.info.Name, errors.New(optimisticLock))
	}
	return nil
}

// strategy holds the rules of what the call writes.
func (c *call) strategy() *api.Strategy {
	if c.sub != nil && c.sub.Strategy != nil {
		return c.sub.Strategy
	}
	return c.res.Strategy
}

// store writes obj over cur, where anything changed.
func (c *call) store(obj api.Object, cur *state, dryRun bool) (*written, error) {
	obj.SetResourceVersion("")
	key := c.res.Key(obj.GetNamespace(), obj.GetName())
	value, err := c.encode(key, obj)
	if err != nil {
		return nil, err
	}
	w := &written{state: state{obj: obj, value: value, revision: cur.revision}}
	if !bytes.Equal(value, cur.value) && !dryRun {
		began := time.Now()
		w.revision, err = c.s.store.Update(c.ctx(), key, value, cur.revision, c.res.lifetime())
		c.s.wrote("update", c.res, began, err)
		if err != nil {
			return nil, err
		}
	}
	obj.SetResourceVersion(strconv.FormatInt(w.revision, 10))
	return w, nil
}

// encode is obj as it will be stored. An object that is too large for the store only with its record of who owns which
// field goes without that record, unless the write is about ownership itself.
func (c *call) encode(key string, obj api.Object) ([]byte, error) {
	value, err := api.EncodeStorage(obj)
	if err == nil && len(key)+len(value) > store.MaxValueBytes && len(obj.GetManagedFields()) > 0 && !isApply(c.r) {
		obj.SetManagedFields(nil)
		value, err = api.EncodeStorage(obj)
	}
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return value, nil
}

// eventLifetime is how long Events are kept.
const eventLifetime = time.Hour

// lifetime of the kind's objects; 0 is for ever.
func (r *resource) lifetime() time.Duration {
	if r.Prefix == "/registry/events" {
		return eventLifetime
	}
	return 0
}

// answerWritten sends what a write left behind.
func (c *call) answerWritten(code int, w *written) error {
	return c.answerState(code, &w.state)
}
