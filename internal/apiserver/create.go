package apiserver

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/store"
)

// maxNames bounds the tries to find a free generated name.
const maxNames = 8

// decode reads the body as the resource's kind, in the storage type with defaults.
func (c *call) decode(v string) (api.Object, error) {
	media, err := negotiate.Input(c.r)
	if err != nil {
		return nil, err
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	obj, warned, err := c.res.Decode(body, string(media), fieldValidation(v))
	c.warn.add(warned...)
	return obj, err
}

// create stores a new object.
func (c *call) create() error {
	// What is wrong with the form of the body is said before what is wrong with the options.
	if _, err := negotiate.Input(c.r); err != nil {
		return err
	}
	o, err := c.createOptions()
	if err != nil {
		return err
	}
	obj, err := c.decode(o.FieldValidation)
	if err != nil {
		return err
	}
	if c.res.Namespaced && c.info.Namespace == "" {
		return methodNotAllowed()
	}
	clearSystemFields(obj)
	w, err := c.createObject(obj, o, o.FieldManager, isDryRun(o.DryRun))
	if err != nil {
		return err
	}
	return c.answerWritten(http.StatusCreated, w)
}

// clearSystemFields removes what only the server sets.
func clearSystemFields(obj metav1.Object) {
	obj.SetCreationTimestamp(metav1.Time{})
	obj.SetUID("")
	obj.SetSelfLink("")
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
}

func isDryRun(d []string) bool { return slices.Contains(d, metav1.DryRunAll) }

// createObject takes a new object of the storage type all the way.
func (c *call) createObject(obj api.Object, options runtime.Object, manager string, dryRun bool) (*written, error) {
	version := obj.GetResourceVersion()
	c.dedupOwners(obj, false)
	q := c.request()
	if err := c.res.InNamespace(q, obj); err != nil {
		return nil, err
	}
	obj, err := c.own(obj, nil, manager)
	if err != nil {
		return nil, err
	}
	// A name is generated when all have had their say: those who change objects see that there is none yet.
	if err := c.admit(c.attributes(admission.Create, obj, nil, options, dryRun)); err != nil {
		return nil, err
	}
	c.dedupOwners(obj, true)
	generated := obj.GetName() == "" && obj.GetGenerateName() != ""
	for try := 1; ; try++ {
		next := obj
		if generated && try < maxNames {
			next = copyOf(obj)
		}
		if err := c.res.Begin(q, next); err != nil {
			return nil, err
		}
		name := next.GetName()
		w, err := c.insert(q, next, options, dryRun, version)
		if !errors.Is(err, store.ErrExists) {
			return w, err
		}
		if !generated || try == maxNames {
			obj.SetName(name)
			return nil, c.exists(obj)
		}
		q.UID = newUID()
	}
}

// own records who wrote obj; old is nil for a new object.
func (c *call) own(obj, old api.Object, manager string) (api.Object, error) {
	if old == nil {
		live, err := api.Scheme().New(c.res.Storage)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		old = live.(api.Object)
		old.GetObjectKind().SetGroupVersionKind(c.res.Storage)
	}
	owned, err := c.s.owners.update(c.res, c.sub, old, obj, c.manager(manager))
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return owned, nil
}

// insert runs the kind's rules and writes. It returns store.ErrExists where the name is taken. version is the
// resourceVersion that the client has sent: only a try may carry one.
func (c *call) insert(q *api.Request, obj api.Object, options runtime.Object, dryRun bool, version string) (*written, error) {
	obj, done, err := c.s.addresses.create(c, obj, dryRun)
	if err != nil {
		return nil, err
	}
	defer func() { done(false) }()
	obj, warned, err := c.res.BeforeCreate(c.ctx(), q, obj)
	if err != nil {
		return nil, err
	}
	c.warn.add(warned...)
	if err := c.vet(c.attributes(admission.Create, obj, nil, options, dryRun)); err != nil {
		return nil, err
	}
	key := c.res.Key(obj.GetNamespace(), obj.GetName())
	value, err := c.encode(key, obj)
	if err != nil {
		return nil, err
	}
	w := &written{state: state{obj: obj, value: value}, created: true}
	if dryRun {
		if _, found, _, err := c.s.store.Get(c.ctx(), key); err != nil || found {
			return nil, errors.Join(err, store.ErrExists)
		}
		obj.SetResourceVersion(version)
		return w, nil
	}
	if n, err := strconv.ParseUint(version, 10, 64); err == nil && n != 0 {
		return nil, errors.New("resourceVersion should not be set on objects to be created")
	}
	began := time.Now()
	w.revision, err = c.s.store.Create(c.ctx(), key, value, c.res.lifetime())
	if c.s.wrote("create", c.res, began, err); err != nil {
		return nil, err
	}
	done(true)
	obj.SetResourceVersion(strconv.FormatInt(w.revision, 10))
	return w, nil
}

// exists is the error for a taken name.
func (c *call) exists(obj api.Object) error {
	err := apierrors.NewAlreadyExists(c.gr(), obj.GetName())
	if obj.GetGenerateName() != "" {
		err = apierrors.NewGenerateNameConflict(c.gr(), obj.GetName(), 1)
	}
	// The cache may not have seen yet what the store has refused for.
	st, readErr := c.s.current(c.ctx(), c.res, c.res.Key(obj.GetNamespace(), obj.GetName()), true)
	if readErr == nil && st != nil && st.obj.GetDeletionTimestamp() != nil {
		err.ErrStatus.Message = "object is being deleted: " + err.ErrStatus.Message
	}
	return err
}

// createByUpdate makes the object that an update did not find, where that is allowed.
func (c *call) createByUpdate(o writeOptions, f edit) (*written, error) {
	if !o.create {
		return nil, apierrors.NewNotFound(c.gr(), c.info.Name)
	}
	obj, err := f(nil)
	if err != nil {
		return nil, err
	}
	if version := obj.GetResourceVersion(); version != "" {
		if _, err := strconv.ParseUint(version, 10, 64); err != nil {
			return nil, err
		}
	}
	if o.mayCreate != nil {
		if err := o.mayCreate(); err != nil {
			return nil, err
		}
	}
	obj.SetResourceVersion("")
	q := c.request()
	if err := c.res.Begin(q, obj); err != nil {
		return nil, err
	}
	if err := c.admit(c.attributes(admission.Create, obj, nil, o.options, o.dryRun)); err != nil {
		return nil, err
	}
	c.dedupOwners(obj, true)
	return c.insert(q, obj, o.options, o.dryRun, "")
}

func newUID() types.UID { return types.UID(uuid.NewString()) }
