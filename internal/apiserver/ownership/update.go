package ownership

import (
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// anonymous is the manager of whom nothing is known.
const anonymous = "unknown"

// Update gives next, by which manager replaces old, its managed fields. A new object has an empty one for old. False: the
// library has to be asked, and next is as it was.
//
//	for every manager    its set  minus what was set or removed now
//	for this one         and what it has set now, and the time, where that is anything
//
// An object that has no record although it exists gets none.
func (k *Kind) Update(old, next Object, manager string, now time.Time) bool {
	had := old.GetManagedFields()
	if sent := next.GetManagedFields(); sent != nil && k.Subresource == "" && (len(sent) == 0 || !sameRecord(sent, had)) {
		return false // the client changes the record itself
	}
	if len(had) == 0 && old.GetUID() != "" {
		next.SetManagedFields(nil)
		return true
	}
	if reflect.TypeOf(old) != reflect.TypeOf(next) {
		return false
	}
	r, ok := k.read(had)
	if !ok {
		return false
	}
	c, err := k.changed(old, next)
	if err != nil {
		return false
	}
	self := metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: k.Version, Subresource: k.Subresource}
	if self.Manager == "" {
		self.Manager = anonymous
	}
	if err := r.update(c, self, now); err != nil {
		return false
	}
	out, ok := r.done()
	if ok {
		next.SetManagedFields(out)
	}
	return ok
}

// changed compares two objects of one Go type.
func (k *Kind) changed(old, next Object) (change, error) {
	var a, b any = old, next
	if len(old.GetManagedFields()) > 0 { // otherwise old is empty, and everything differs
		a, b = differing(old, next, k.Unread)
		a.(Object).SetManagedFields(nil)
		b.(Object).SetManagedFields(nil)
	}
	from, err := k.typed(a)
	if err != nil {
		return change{}, err
	}
	to, err := k.typed(b)
	if err != nil {
		return change{}, err
	}
	return k.between(from, to)
}

// update does to the record what c, made by self, does.
func (r *record) update(c change, self metav1.ManagedFieldsEntry, now time.Time) error {
	won := c.set.Difference(never)
	mine := r.find(&self)
	for i, set := range r.sets {
		left := minus(set, c)
		if i == mine {
			left = left.Union(won)
		}
		if err := r.replace(i, left); err != nil {
			return err
		}
	}
	if won.Empty() {
		return nil
	}
	if mine < 0 {
		var err error
		if mine, err = r.add(self, won); err != nil {
			return err
		}
	}
	r.entries[mine].Time = &metav1.Time{Time: now.UTC()}
	return nil
}

// minus is what a manager still owns after somebody's change.
func minus(set *fieldpath.Set, c change) *fieldpath.Set {
	if !c.set.Empty() {
		set = set.Difference(c.set)
	}
	if !c.removed.Empty() {
		set = set.Difference(c.removed)
	}
	return set
}
