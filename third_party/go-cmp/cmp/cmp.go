// Package cmp says where two values differ: a small stand-in for github.com/google/go-cmp/cmp by a replace line in go.mod.
//
// The reason is size. etcd's storage backend prints a difference with that package in a self-check that is off unless
// ETCD_VERIFY is set. The real package names types by walking their methods through reflection, and a program in which
// that is reachable keeps every exported method of every linked type: 8 MB of minato. This one walks values only.
//
// It knows no options; values are equal as reflect.DeepEqual has it, unexported fields included. Everything here is a
// pure function.
package cmp

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// limit bounds a report: lines beyond it are counted, not printed.
const limit = 100

// Equal reports whether x and y are the same, deeply.
func Equal(x, y any) bool { return reflect.DeepEqual(x, y) }

// Diff returns "" for equal values, else one line for each place in which they differ: its path, what x has there after
// a minus and what y has there after a plus.
func Diff(x, y any) string {
	if reflect.DeepEqual(x, y) {
		return ""
	}
	var r report
	r.walk("", reflect.ValueOf(x), reflect.ValueOf(y))
	if r.more > 0 {
		fmt.Fprintf(&r.text, "... and %d more\n", r.more)
	}
	if r.text.Len() == 0 { // a difference that no path leads to: functions, or a nil and an empty collection
		r.add("", reflect.ValueOf(x), reflect.ValueOf(y))
	}
	return r.text.String()
}

type report struct {
	text        strings.Builder
	lines, more int
	seen        map[[2]uintptr]bool
}

func (r *report) walk(path string, x, y reflect.Value) {
	if !x.IsValid() || !y.IsValid() || x.Type() != y.Type() {
		if x.IsValid() || y.IsValid() {
			r.add(path, x, y)
		}
		return
	}
	switch x.Kind() {
	case reflect.Struct:
		for i := range x.NumField() {
			r.walk(path+"."+x.Type().Field(i).Name, x.Field(i), y.Field(i))
		}
	case reflect.Pointer, reflect.Interface:
		r.walkThrough(path, x, y)
	case reflect.Slice:
		if x.IsNil() != y.IsNil() {
			r.add(path, x, y)
			return
		}
		r.walkList(path, x, y)
	case reflect.Array:
		r.walkList(path, x, y)
	case reflect.Map:
		r.walkMap(path, x, y)
	case reflect.Func:
		if !x.IsNil() || !y.IsNil() {
			r.add(path, x, y)
		}
	default:
		if !x.Equal(y) {
			r.add(path, x, y)
		}
	}
}

// walkThrough follows pointers, each pair of them once.
func (r *report) walkThrough(path string, x, y reflect.Value) {
	if x.IsNil() || y.IsNil() {
		if x.IsNil() != y.IsNil() {
			r.add(path, x, y)
		}
		return
	}
	if x.Kind() == reflect.Pointer {
		pair := [2]uintptr{x.Pointer(), y.Pointer()}
		if r.seen[pair] {
			return
		}
		if r.seen == nil {
			r.seen = map[[2]uintptr]bool{}
		}
		r.seen[pair] = true
	}
	r.walk(path, x.Elem(), y.Elem())
}

func (r *report) walkList(path string, x, y reflect.Value) {
	for i := range max(x.Len(), y.Len()) {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= x.Len():
			r.add(at, reflect.Value{}, y.Index(i))
		case i >= y.Len():
			r.add(at, x.Index(i), reflect.Value{})
		default:
			r.walk(at, x.Index(i), y.Index(i))
		}
	}
}

func (r *report) walkMap(path string, x, y reflect.Value) {
	if x.IsNil() != y.IsNil() {
		r.add(path, x, y)
		return
	}
	keys := x.MapKeys()
	for _, k := range y.MapKeys() {
		if !x.MapIndex(k).IsValid() {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool { return show(keys[i]) < show(keys[j]) })
	for _, k := range keys {
		r.walk(path+"["+show(k)+"]", x.MapIndex(k), y.MapIndex(k))
	}
}

func (r *report) add(path string, x, y reflect.Value) {
	if r.lines++; r.lines > limit {
		r.more++
		return
	}
	if path == "" {
		path = "(root)"
	}
	fmt.Fprintf(&r.text, "%s:\n", path)
	if x.IsValid() {
		fmt.Fprintf(&r.text, "\t- %s\n", show(x))
	}
	if y.IsValid() {
		fmt.Fprintf(&r.text, "\t+ %s\n", show(y))
	}
}

func show(v reflect.Value) string {
	if v.Kind() == reflect.Func && !v.IsNil() {
		return "func"
	}
	return fmt.Sprintf("%+v", v)
}
