package ownership

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// structsDeep is how far below an object structs are taken apart: its metadata, spec and status.
const structsDeep = 1

// differing returns two objects of one type, given by pointers, without the fields in which they are the same: what is
// the same on both sides is no change, and comparing it costs more than seeing that. The fields unread, by their names in
// JSON, are left out too. What is left is shared with the originals.
func differing(x, y any, unread []string) (any, any) {
	v, w := reflect.ValueOf(x).Elem(), reflect.ValueOf(y).Elem()
	a, b := reflect.New(v.Type()), reflect.New(v.Type())
	keepDiffering(a.Elem(), b.Elem(), v, w, unread, structsDeep)
	return a.Interface(), b.Interface()
}

func keepDiffering(a, b, v, w reflect.Value, unread []string, deep int) {
	for i := range v.NumField() {
		x, y := v.Field(i), w.Field(i)
		switch {
		case len(unread) > 0 && slices.Contains(unread, jsonName(v.Type().Field(i))):
		case reflect.DeepEqual(x.Addr().Interface(), y.Addr().Interface()):
		case deep > 0 && isPlain(x.Type()):
			keepDiffering(a.Field(i), b.Field(i), x, y, nil, deep-1)
		default:
			a.Field(i).Set(x)
			b.Field(i).Set(y)
		}
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// isPlain says whether a type is a struct whose JSON is made field by field.
func isPlain(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !t.Implements(marshaler) && !reflect.PointerTo(t).Implements(marshaler)
}
