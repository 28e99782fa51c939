package cache

import "strings"

// groups sorts the watchers of a resource by what can concern them, so that a write wakes only those: all of it, one
// namespace or one object (by prefix), or one value of an indexed field.
type groups struct {
	all      watchers
	byPrefix map[string]watchers
	byField  map[fieldValue]watchers
}

type watchers map[*Watcher]struct{}

type fieldValue struct{ field, value string }

func newGroups() groups {
	return groups{all: watchers{}, byPrefix: map[string]watchers{}, byField: map[fieldValue]watchers{}}
}

func (g *groups) add(w *Watcher) {
	switch {
	case w.opts.Field != "":
		join(g.byField, fieldValue{w.opts.Field, w.opts.Value}, w)
	case w.prefix != w.resource.Prefix:
		join(g.byPrefix, w.prefix, w)
	default:
		g.all[w] = struct{}{}
	}
}

func (g *groups) remove(w *Watcher) {
	switch {
	case w.opts.Field != "":
		leave(g.byField, fieldValue{w.opts.Field, w.opts.Value}, w)
	case w.prefix != w.resource.Prefix:
		leave(g.byPrefix, w.prefix, w)
	default:
		delete(g.all, w)
	}
}

func join[K comparable](m map[K]watchers, k K, w *Watcher) {
	if m[k] == nil {
		m[k] = watchers{}
	}
	m[k][w] = struct{}{}
}

func leave[K comparable](m map[K]watchers, k K, w *Watcher) {
	if delete(m[k], w); len(m[k]) == 0 {
		delete(m, k)
	}
}

// wake tells those who wait that the write at seq may concern them.
func (g *groups) wake(r *resource, e *entry, seq int64) {
	g.all.wake(seq)
	if len(g.byPrefix) > 0 {
		key := e.key()
		g.byPrefix[key].wake(seq)
		if ns := r.namespaceOf(key); ns != "" {
			g.byPrefix[ns].wake(seq)
		}
	}
	if len(g.byField) == 0 {
		return
	}
	for _, field := range r.Indexed {
		if e.object != nil {
			g.byField[fieldValue{field, e.object.Fields.Get(field)}].wake(seq)
		}
		if e.prev != nil && (e.object == nil || e.prev.Fields.Get(field) != e.object.Fields.Get(field)) {
			g.byField[fieldValue{field, e.prev.Fields.Get(field)}].wake(seq)
		}
	}
}

func (ws watchers) wake(seq int64) {
	for w := range ws {
		if w.idle {
			w.idle, w.cursor = false, seq
			w.signal()
		}
	}
}

// each visits every watcher of the resource.
func (g *groups) each(f func(*Watcher)) {
	visit := func(ws watchers) {
		for w := range ws {
			f(w)
		}
	}
	visit(g.all)
	for _, ws := range g.byPrefix {
		visit(ws)
	}
	for _, ws := range g.byField {
		visit(ws)
	}
}

// covers says whether an object is in the watched range: the resource, a namespace (ending in "/") or one key.
func covers(prefix, key string) bool {
	if strings.HasSuffix(prefix, "/") {
		return strings.HasPrefix(key, prefix)
	}
	return key == prefix
}
