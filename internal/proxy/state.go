package proxy

import (
	"cmp"
	"maps"
	"slices"
	"sort"
)

// state is what all services together want, and what was applied. Two services can want the same element: a hairpin of
// a shared endpoint, or by mistake the same external address; the first by name then has it until it lets go.
type state struct {
	parts   map[serviceName]elements
	wanted  map[key]map[serviceName]value
	kernel  elements // what the table has
	touched map[key]bool
}

func newState() *state {
	return &state{parts: map[serviceName]elements{}, wanted: map[key]map[serviceName]value{}, kernel: elements{}, touched: map[key]bool{}}
}

// change is one element that the table has to gain, lose or change.
type change struct {
	key      key
	old, new *value
}

// replace says what service n wants from now on; nothing where part is empty.
func (s *state) replace(n serviceName, part elements) {
	for k := range s.parts[n] {
		if _, stays := part[k]; stays {
			continue
		}
		delete(s.wanted[k], n)
		if len(s.wanted[k]) == 0 {
			delete(s.wanted, k)
		}
		s.touched[k] = true
	}
	for k, v := range part {
		if old, had := s.parts[n][k]; had && old == v {
			continue
		}
		if s.wanted[k] == nil {
			s.wanted[k] = map[serviceName]value{}
		}
		s.wanted[k][n] = v
		s.touched[k] = true
	}
	if len(part) == 0 {
		delete(s.parts, n)
	} else {
		s.parts[n] = part
	}
}

// want returns the value that counts for k.
func (s *state) want(k key) *value {
	all := s.wanted[k]
	if len(all) == 0 {
		return nil
	}
	first := slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b serviceName) int {
		return cmp.Or(cmp.Compare(a.ns, b.ns), cmp.Compare(a.name, b.name))
	})
	v := all[first]
	return &v
}

// changes returns the differences between what is wanted and what the table has.
func (s *state) changes() []change {
	var out []change
	for k := range s.touched {
		c := change{key: k, new: s.want(k)}
		if v, has := s.kernel[k]; has {
			c.old = &v
		}
		if c.old == nil && c.new == nil || c.old != nil && c.new != nil && *c.old == *c.new {
			continue
		}
		out = append(out, c)
	}
	sortChanges(out)
	return out
}

// sortChanges gives the kernel, and whoever reads its tables, the same order every time.
func sortChanges(all []change) {
	sort.Slice(all, func(i, j int) bool {
		x, y := &all[i].key, &all[j].key
		return cmp.Or(cmp.Compare(x.set, y.set), cmp.Compare(x.chain, y.chain), x.vip.addr.Compare(y.vip.addr), cmp.Compare(x.vip.proto, y.vip.proto),
			cmp.Compare(x.vip.port, y.vip.port), cmp.Compare(x.index, y.index), x.target.addr.Compare(y.target.addr), cmp.Compare(x.target.port, y.target.port)) < 0
	})
}

// everything returns all that an empty table lacks.
func (s *state) everything() []change {
	var out []change
	for k := range s.wanted {
		out = append(out, change{key: k, new: s.want(k)})
	}
	sortChanges(out)
	return out
}

// applied notes that the table now has what is wanted; whole says that it was written anew.
func (s *state) applied(whole bool) {
	if whole {
		s.kernel = elements{}
		for k := range s.wanted {
			s.kernel[k] = *s.want(k)
		}
	}
	for k := range s.touched {
		if v := s.want(k); v != nil {
			s.kernel[k] = *v
		} else {
			delete(s.kernel, k)
		}
	}
	s.touched = map[key]bool{}
}
