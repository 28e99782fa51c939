package ownership

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// maxUpdaters is how many managers that update are told apart; the library merges the oldest of more.
const maxUpdaters = 10

// record is the managed fields of an object with their sets, entry by entry.
type record struct {
	entries []metav1.ManagedFieldsEntry
	sets    []*fieldpath.Set
}

// read takes entries that are just as this program would write them; false where one is not.
func (k *Kind) read(entries []metav1.ManagedFieldsEntry) (*record, bool) {
	r := &record{entries: slices.Clone(entries), sets: make([]*fieldpath.Set, len(entries))}
	for i := range entries {
		e := &entries[i]
		applied := e.Operation == metav1.ManagedFieldsOperationApply
		if !applied && e.Operation != metav1.ManagedFieldsOperationUpdate || e.APIVersion != k.Version || e.FieldsType != "FieldsV1" ||
			e.FieldsV1 == nil || !utf8.ValidString(e.Manager) || !utf8.ValidString(e.Subresource) ||
			slices.ContainsFunc(entries[:i], func(o metav1.ManagedFieldsEntry) bool { return sameManager(&o, e) }) {
			return nil, false
		}
		if r.sets[i] = k.Sets.of(k, e.FieldsV1.GetRawBytes()); r.sets[i] == nil {
			return nil, false
		}
	}
	return r, true
}

// sameManager says whether two entries are of one manager; they are of one version.
func sameManager(a, b *metav1.ManagedFieldsEntry) bool {
	return a.Manager == b.Manager && a.Operation == b.Operation && a.Subresource == b.Subresource
}

// find is the index of a manager's entry, or -1.
func (r *record) find(e *metav1.ManagedFieldsEntry) int {
	return slices.IndexFunc(r.entries, func(o metav1.ManagedFieldsEntry) bool { return sameManager(&o, e) })
}

// replace gives an entry another set; it keeps its bytes where the set is the same.
func (r *record) replace(i int, set *fieldpath.Set) error {
	if set == r.sets[i] || set.Equals(r.sets[i]) {
		return nil
	}
	r.sets[i] = set
	if set.Empty() {
		return nil // it will go
	}
	raw, err := set.ToJSON()
	if err != nil {
		return err
	}
	r.entries[i].FieldsV1 = &metav1.FieldsV1{}
	r.entries[i].FieldsV1.SetRawBytes(raw)
	return nil
}

// add appends an entry for a new manager.
func (r *record) add(e metav1.ManagedFieldsEntry, set *fieldpath.Set) (int, error) {
	e.FieldsType = "FieldsV1"
	r.entries, r.sets = append(r.entries, e), append(r.sets, fieldpath.NewSet())
	return len(r.sets) - 1, r.replace(len(r.sets)-1, set)
}

// done is the record as it is stored, in the library's order; false where it tells too many managers apart.
func (r *record) done() ([]metav1.ManagedFieldsEntry, bool) {
	var out []metav1.ManagedFieldsEntry
	updaters := 0
	for i, e := range r.entries {
		if r.sets[i].Empty() {
			continue
		}
		if out = append(out, e); e.Operation == metav1.ManagedFieldsOperationUpdate {
			updaters++
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(seconds(a.Time), seconds(b.Time)), cmp.Compare(a.Manager, b.Manager),
			cmp.Compare(a.APIVersion, b.APIVersion), cmp.Compare(a.Subresource, b.Subresource)) < 0
	})
	return out, updaters <= maxUpdaters
}

func seconds(t *metav1.Time) int64 {
	if t == nil {
		return 0
	}
	return t.Unix()
}

// sameRecord says whether a client sent back the managed fields as they are.
func sameRecord(a, b []metav1.ManagedFieldsEntry) bool {
	return slices.EqualFunc(a, b, func(x, y metav1.ManagedFieldsEntry) bool {
		return sameManager(&x, &y) && x.APIVersion == y.APIVersion && x.FieldsType == y.FieldsType && (x.Time == nil) == (y.Time == nil) &&
			seconds(x.Time) == seconds(y.Time) && x.FieldsV1 != nil && y.FieldsV1 != nil && bytes.Equal(x.FieldsV1.GetRawBytes(), y.FieldsV1.GetRawBytes())
	})
}
