package transcode

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrUnusual is returned for messages that only decoding can render.
var ErrUnusual = errors.New("message is not in the usual form")

// form is how a value is written.
type form uint8

const (
	formNone    form = iota // has no field on the wire
	formHidden              // has a field on the wire and none in JSON
	formDecoded             // only decoding knows
	formText
	formBool
	formInt
	formInt32
	formBytes
	formMessage
	formInline // a message whose fields stand among those of the message that has it
	formMap
	formLeaf // by a function
)

// field is one field of a Go struct. Those that are not on the wire, or are hidden, have a place too.
type field struct {
	number    int
	form      form
	repeated  bool
	pointer   bool // what is on the wire is shown, even if zero
	omitEmpty bool
	omitZero  bool
	version   bool   // ObjectMeta.resourceVersion
	name      []byte // "name": as it is written
	absent    []byte // name and value of a field that is not on the wire; nil: nothing
	sub       *Plan  // of messages
	value     *field // of maps
	leaf      leaf
}

// Plan is how messages of one Go type are rendered.
type Plan struct {
	fields []field // in the order of JSON
	slots  []int16 // number of a field to its place in fields, -1 for none
	meta   bool    // ObjectMeta
}

// leaf renders one value of a type that has a JSON form of its own.
type leaf func(dst, message []byte) ([]byte, error)

// Compile makes the plan of a struct type of the API.
func Compile(t reflect.Type) (*Plan, error) {
	c := compiler{plans: map[reflect.Type]*Plan{}}
	return c.plan(t)
}

type compiler struct{ plans map[reflect.Type]*Plan }

func (c compiler) plan(t reflect.Type) (*Plan, error) {
	if p := c.plans[t]; p != nil {
		return p, nil
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("transcode: %v is not a struct", t)
	}
	p := &Plan{meta: t == reflect.TypeFor[metav1.ObjectMeta]()}
	c.plans[t] = p // before its fields: JSONSchemaProps and others hold themselves
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		f, err := c.field(sf)
		if err != nil {
			return nil, fmt.Errorf("%v.%s: %w", t, sf.Name, err)
		}
		f.version = p.meta && sf.Name == "ResourceVersion"
		if f.number > 0 {
			for len(p.slots) <= f.number {
				p.slots = append(p.slots, -1)
			}
			p.slots[f.number] = int16(len(p.fields))
		}
		p.fields = append(p.fields, f)
	}
	return p, nil
}

func (c compiler) field(sf reflect.StructField) (field, error) {
	f := field{number: wireNumber(sf.Tag.Get("protobuf"))}
	name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
	for _, o := range strings.Split(options, ",") {
		switch o {
		case "omitempty":
			f.omitEmpty = true
		case "omitzero":
			f.omitZero = true
		case "", "inline":
		default:
			return f, fmt.Errorf("no rule for JSON option %q", o)
		}
	}
	if name == "-" && options == "" {
		f.form = formHidden
		return f, nil
	}
	if name == "" && sf.Anonymous {
		if sf.Type.Kind() != reflect.Struct || leafOf(sf.Type) != nil || marshals(sf.Type) {
			return f, errors.New("no rule for embedding such a type")
		}
		sub, err := c.plan(sf.Type)
		f.form, f.sub = formInline, sub
		return f, err
	}
	if name == "" {
		name = sf.Name
	}
	f.name = append(strconv.AppendQuote(nil, name), ':')
	if err := c.value(sf.Type, &f); err != nil {
		return f, err
	}
	if f.number == 0 {
		f.form = formNone
	}
	return f, f.findAbsent(sf.Type)
}

// findAbsent renders what JSON shows of a field that is not on the wire.
func (f *field) findAbsent(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Struct, reflect.Array: // encoding/json does not call these empty
		if f.omitZero {
			return nil
		}
	default:
		if f.omitZero || f.omitEmpty {
			return nil
		}
	}
	zero, err := json.Marshal(reflect.Zero(t).Interface())
	f.absent = append(append([]byte(nil), f.name...), zero...)
	return err
}

// value finds the form of a type.
func (c compiler) value(t reflect.Type, f *field) error {
	if t.Kind() == reflect.Pointer {
		t, f.pointer = t.Elem(), true
	}
	if l := leafOf(t); l != nil {
		f.form, f.leaf = formLeaf, l
		return nil
	}
	if marshals(t) {
		f.form = formDecoded
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		f.form = formText
	case reflect.Bool:
		f.form = formBool
	case reflect.Int64:
		f.form = formInt
	case reflect.Int32:
		f.form = formInt32
	case reflect.Struct:
		f.form = formMessage
		var err error
		f.sub, err = c.plan(t)
		return err
	case reflect.Slice:
		return c.slice(t, f)
	case reflect.Map:
		return c.mapping(t, f)
	default:
		f.form = formDecoded
	}
	return nil
}

func (c compiler) slice(t reflect.Type, f *field) error {
	switch {
	case f.pointer || f.repeated:
		f.form = formDecoded
		return nil
	case t.Elem().Kind() == reflect.Uint8:
		f.form = formBytes
		return nil
	}
	f.repeated = true
	if t.Elem().Kind() == reflect.Pointer || t.Elem().Kind() == reflect.Slice || t.Elem().Kind() == reflect.Map {
		f.form = formDecoded
		return nil
	}
	return c.value(t.Elem(), f)
}

func (c compiler) mapping(t reflect.Type, f *field) error {
	key := t.Key()
	if key.Kind() != reflect.String || marshals(key) || f.pointer || f.repeated {
		f.form = formDecoded
		return nil
	}
	f.form, f.value = formMap, &field{number: 2}
	if err := c.value(t.Elem(), f.value); err != nil {
		return err
	}
	if f.value.repeated || f.value.pointer || f.value.form == formMap || f.value.form == formDecoded {
		f.form = formDecoded
	}
	return nil
}

// wireNumber is the field's number in the protobuf tag; 0 where it has none.
func wireNumber(tag string) int {
	parts := strings.Split(tag, ",")
	if len(parts) < 2 {
		return 0
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0
	}
	return n
}
