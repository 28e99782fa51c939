package ownership

import (
	"errors"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// lastApplied is the annotation of kubectl's client-side apply, which the library keeps in step.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Apply merges a configuration that manager applies into an object, an empty one where there is none yet: live becomes the
// new state with its managed fields, before defaults. It does so only where nobody else owns what changes, and where the configuration still has all
// that the manager applied before, so that nothing is to be removed: that is what nearly every repeated apply is. Otherwise,
// and for every configuration that is wrong, it says false and has changed nothing, and the library has to be asked. The new
// state shares with conf.
func (k *Kind) Apply(live Object, conf map[string]any, manager string, now time.Time) bool {
	unrecorded := len(live.GetManagedFields()) == 0 && live.GetUID() != ""
	if k.Opaque || manager == "" || unrecorded || !k.describes(conf) {
		return false
	}
	if _, ok := live.GetAnnotations()[lastApplied]; ok {
		return false
	}
	r, ok := k.read(live.GetManagedFields())
	if !ok {
		return false
	}
	wanted, set, err := k.configuration(conf)
	if err != nil {
		return false
	}
	self := metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: k.Version, Subresource: k.Subresource}
	if i := r.find(&self); i >= 0 && !r.sets[i].Difference(set).Empty() {
		return false
	}
	part, c, err := k.merge(live, conf, wanted)
	if err != nil || !c.removed.Empty() {
		return false
	}
	if err := r.apply(c, self, set.Difference(never), part.IsValid(), now); err != nil {
		return false
	}
	out, ok := r.done()
	if !ok {
		return false
	}
	if part.IsValid() {
		copyNamed(reflect.ValueOf(live).Elem(), part, conf, structsDeep)
	}
	live.SetManagedFields(out)
	return true
}

var errConflict = errors.New("somebody else owns what changes")

// apply records that self has applied set, by which c changed, where anything did.
func (r *record) apply(c change, self metav1.ManagedFieldsEntry, set *fieldpath.Set, changed bool, now time.Time) error {
	mine := r.find(&self)
	for i, other := range r.sets {
		if i != mine && !other.Intersection(c.set).Empty() {
			return errConflict
		}
	}
	var err error
	if mine < 0 {
		mine, err = r.add(self, set)
	} else {
		err = r.replace(mine, set)
	}
	if changed {
		r.entries[mine].Time = &metav1.Time{Time: now.UTC()}
	}
	return err
}

// describes says whether a configuration is one of this kind, and leaves alone what is not its own.
func (k *Kind) describes(conf map[string]any) bool {
	if conf["apiVersion"] != k.Version || conf["kind"] != k.Name {
		return false
	}
	meta, ok := conf["metadata"].(map[string]any)
	if _, has := meta["managedFields"]; !ok || has {
		return false
	}
	notes, _ := meta["annotations"].(map[string]any)
	_, has := notes[lastApplied]
	return !has
}

// configuration holds a configuration against the schema and finds out what it is about.
func (k *Kind) configuration(conf map[string]any) (*typed.TypedValue, *fieldpath.Set, error) {
	wanted, err := k.Type.FromUnstructured(conf)
	if err != nil {
		return nil, nil, err
	}
	set, err := wanted.ToFieldSet()
	if err == nil && k.Reset != nil {
		set = k.Reset.Filter(set)
	}
	return wanted, set, err
}

var errNames = errors.New("not the fields of the kind")

// merge makes those parts of the new state that conf is about, or the zero value where the state stays as it is. Only
// these parts of live are read: the rest comes out of a merge as it went in.
func (k *Kind) merge(live Object, conf map[string]any, wanted *typed.TypedValue) (reflect.Value, change, error) {
	v := reflect.ValueOf(live).Elem()
	some, part := reflect.New(v.Type()), reflect.New(v.Type())
	if !copyNamed(some.Elem(), v, conf, structsDeep) {
		return reflect.Value{}, change{}, errNames
	}
	from, err := k.typed(some.Interface())
	if err != nil {
		return reflect.Value{}, change{}, err
	}
	to, err := from.Merge(wanted)
	if err != nil {
		return reflect.Value{}, change{}, err
	}
	c, err := k.between(from, to)
	if err != nil || value.EqualsUsing(value.NewFreelistAllocator(), from.AsValue(), to.AsValue()) {
		return reflect.Value{}, c, err
	}
	merged, ok := to.AsValue().Unstructured().(map[string]any)
	if !ok {
		return reflect.Value{}, c, errNames
	}
	return part.Elem(), c, runtime.DefaultUnstructuredConverter.FromUnstructured(merged, part.Interface())
}
