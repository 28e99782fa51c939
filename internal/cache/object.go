package cache

import (
	"bytes"
	"maps"
	"strings"
	"sync/atomic"

	"minato.dev/minato/internal/store"
)

// An Object is one stored object at one revision: its bytes and its index record. What it says
// is immutable and shared.
type Object struct {
	Key            string
	Namespace      string
	Name           string
	UID            string
	Revision       int64 // of the write that made this state: the resourceVersion to show
	CreateRevision int64
	Recoded        bool // Value is not what the store has
	Body           Span // of Value, as Index gave it
	Labels         Pairs
	Fields         Pairs // those that are empty left out
	Deleting       bool
	Err            error // why Index could not read Value, else nil

	value  value // as in the store, or what Resource.Canonical made of it; without the resourceVersion
	ledger *ledger
	memos  atomic.Pointer[[]*memo]
}

// Lone is an object that is in no cache: what a write has in its hands.
func Lone(key string, m Meta, revision int64, value []byte) *Object {
	o := &Object{Key: key, Namespace: m.Namespace, Name: m.Name, UID: m.UID, Revision: revision, Labels: PairsOf(m.Labels),
		Fields: PairsOf(m.Fields), Deleting: m.Deleting, Body: m.Body}
	o.value.set(value)
	return o
}

// newObject reads the index record of a stored value.
func (c *Cache) newObject(r *resource, kv store.KV) *Object {
	recoded := false
	if r.Canonical != nil {
		// Index reports what cannot be read.
		if v, err := r.Canonical(kv); err == nil {
			recoded = !bytes.Equal(v, kv.Value)
			kv.Value = v
		}
	}
	m, err := r.Index(kv.Key, kv.Value)
	if err != nil {
		m = metaFromKey(strings.TrimPrefix(kv.Key, r.Prefix))
		c.cfg.Log.Error("stored object is unreadable", "key", kv.Key, "err", err)
	}
	uid, labels, fields := m.pack()
	o := &Object{
		Key:            kv.Key,
		Namespace:      within(kv.Key, m.Namespace),
		Name:           within(kv.Key, m.Name),
		UID:            uid,
		Revision:       kv.ModRevision,
		CreateRevision: kv.CreateRevision,
		Recoded:        recoded,
		Body:           m.Body,
		Labels:         labels,
		Fields:         fields,
		Deleting:       m.Deleting,
		Err:            err,
		ledger:         c.memos,
	}
	o.value.set(kv.Value)
	return o
}

// pack makes one string of what an Object keeps of its record. It uses m.Fields up.
func (m *Meta) pack() (uid string, labels, fields Pairs) {
	maps.DeleteFunc(m.Fields, func(_, value string) bool { return value == "" })
	scratch := packs.Get().(*[]byte)
	defer packs.Put(scratch)
	b := append((*scratch)[:0], m.UID...)
	b = appendPairs(b, m.Labels)
	fieldsFrom := len(b)
	*scratch = appendPairs(b, m.Fields)
	all := string(*scratch)
	return all[:len(m.UID)], Pairs(all[len(m.UID):fieldsFrom]), Pairs(all[fieldsFrom:])
}

// within returns s as a part of key where it is one, so that it needs no memory of its own.
func within(key, s string) string {
	if i := strings.LastIndex(key, s); i >= 0 {
		return key[i : i+len(s)]
	}
	return s
}

// metaFromKey is what namespace/name or name says.
func metaFromKey(rest string) Meta {
	if ns, name, ok := strings.Cut(rest, "/"); ok {
		return Meta{Namespace: ns, Name: name}
	}
	return Meta{Name: rest}
}

// withRevision is the same state shown with another revision: the last state of an object that was deleted then.
func (o *Object) withRevision(revision int64) *Object {
	n := &Object{
		Key: o.Key, Namespace: o.Namespace, Name: o.Name, UID: o.UID,
		Revision: revision, CreateRevision: o.CreateRevision, Recoded: o.Recoded, Body: o.Body,
		Labels: o.Labels, Fields: o.Fields, Deleting: o.Deleting, Err: o.Err, ledger: o.ledger,
	}
	n.value.held.Store(o.value.held.Load())
	return n
}
