package ownership

import (
	"encoding/json"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// copyNamed sets those fields of the struct to that named has values for, by their names in JSON, to those of from; of metadata,
// only what is named there. False: a name that the struct has not.
func copyNamed(to, from reflect.Value, named map[string]any, deep int) bool {
	found := 0
	for i := range to.NumField() {
		f := to.Type().Field(i)
		name := jsonName(f)
		if f.Anonymous && name == "" {
			if f.Type != reflect.TypeFor[metav1.TypeMeta]() {
				return false
			}
			to.Field(i).Set(from.Field(i))
			found += 2
			continue
		}
		value, ok := named[name]
		if !ok {
			continue
		}
		found++
		below, isMap := value.(map[string]any)
		if deep == 0 || name != "metadata" || !isMap {
			to.Field(i).Set(from.Field(i))
		} else if !copyNamed(to.Field(i), from.Field(i), below, deep-1) {
			return false
		}
	}
	return found == len(named)
}

// Opaque says whether a Go type holds documents of other people's kinds, whose form a merge changes.
func Opaque(t reflect.Type) bool { return opaque(t, map[reflect.Type]bool{}) }

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func opaque(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return opaque(t.Elem(), seen)
	case reflect.Interface:
		return true
	case reflect.Struct:
		if t == reflect.TypeFor[runtime.RawExtension]() || t.Name() == "JSON" && reflect.PointerTo(t).Implements(unmarshaler) {
			return true
		}
		if !isPlain(t) {
			return false // times, quantities
		}
		for i := range t.NumField() {
			if opaque(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
