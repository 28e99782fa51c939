package openapi

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fill sets a message of the OpenAPI protobuf schemas from the value that it stands for. The messages' own descriptors
// say how, for they are regular: a field is named after its member, a repeated field of Named* messages holds the
// members that have no field, and what may be one of several things is a message with one oneof. The library's
// generated parsers do the same and weigh a megabyte.
func fill(m protoreflect.Message, n *yaml.Node) error {
	d := m.Descriptor()
	switch {
	case d.Name() == "Any":
		return fillAny(m, n)
	case d.Oneofs().Len() > 0:
		return fillOneof(m, n)
	case d.Name() == "TypeItem" || d.Name() == "StringArray" || d.Name() == "ItemsItem":
		return fillList(m, d.Fields().Get(0), n)
	case n.Kind != yaml.MappingNode:
		return fmt.Errorf("%s: want an object, have %.40s", d.Name(), n.Value)
	}
	fields := fieldsOf(d)
	for i := 0; i < len(n.Content); i += 2 {
		if err := fillMember(m, fields, n.Content[i].Value, n.Content[i+1]); err != nil {
			return fmt.Errorf("%s: %w", n.Content[i].Value, err)
		}
	}
	return nil
}

// fields is how the members of a JSON object are told apart for one message.
type fields struct {
	named      map[string]protoreflect.FieldDescriptor
	extensions protoreflect.FieldDescriptor // for names that begin with x-
	rest       protoreflect.FieldDescriptor // for all other names
}

func fieldsOf(d protoreflect.MessageDescriptor) fields {
	f := fields{named: map[string]protoreflect.FieldDescriptor{}}
	for i := range d.Fields().Len() {
		switch field := d.Fields().Get(i); {
		case field.Name() == "_ref":
			f.named["$ref"] = field
		case !holdsNamed(field):
			f.named[field.JSONName()] = field
		case strings.HasSuffix(string(field.Name()), "_extension"):
			f.extensions = field
		default:
			f.rest = field
		}
	}
	return f
}

// holdsNamed says whether a field collects members by their names.
func holdsNamed(field protoreflect.FieldDescriptor) bool {
	return field.IsList() && field.Message() != nil && strings.HasPrefix(string(field.Message().Name()), "Named")
}

func fillMember(m protoreflect.Message, f fields, name string, n *yaml.Node) error {
	if field := f.named[name]; field != nil {
		if field.IsList() {
			return fillList(m, field, n)
		}
		return fillField(m, field, n)
	}
	field := f.rest
	if f.extensions != nil && strings.HasPrefix(name, "x-") {
		field = f.extensions
	}
	if field == nil {
		return fmt.Errorf("%s has no such member", m.Descriptor().Name())
	}
	named := m.Mutable(field).List().AppendMutable().Message()
	parts := named.Descriptor().Fields()
	named.Set(parts.ByName("name"), protoreflect.ValueOfString(name))
	return fillField(named, parts.ByName("value"), n)
}

func fillField(m protoreflect.Message, field protoreflect.FieldDescriptor, n *yaml.Node) error {
	v, err := valueOf(m.NewField(field), field, n)
	if err == nil {
		m.Set(field, v)
	}
	return err
}

// fillList sets a repeated field; what stands alone is a list of one.
func fillList(m protoreflect.Message, field protoreflect.FieldDescriptor, n *yaml.Node) error {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	list := m.Mutable(field).List()
	for i, item := range items {
		v, err := valueOf(list.NewElement(), field, item)
		if err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
		list.Append(v)
	}
	return nil
}

// valueOf reads one value for a field; a message is read into empty, which the field or its list has made.
func valueOf(empty protoreflect.Value, field protoreflect.FieldDescriptor, n *yaml.Node) (v protoreflect.Value, err error) {
	if field.Kind() == protoreflect.MessageKind {
		return empty, fill(empty.Message(), n)
	}
	if n.Kind != yaml.ScalarNode {
		return v, fmt.Errorf("want a %s", field.Kind())
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(n.Value), nil
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(n.Value)
		return protoreflect.ValueOfBool(b), err
	case protoreflect.Int64Kind:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		return protoreflect.ValueOfInt64(i), err
	case protoreflect.DoubleKind:
		f, err := strconv.ParseFloat(n.Value, 64)
		return protoreflect.ValueOfFloat64(f), err
	}
	return v, fmt.Errorf("a field of kind %s", field.Kind())
}

// fillAny keeps a value that may be anything as YAML text, in blocks and with no more quotes than needed.
func fillAny(m protoreflect.Message, n *yaml.Node) error {
	text, err := yaml.Marshal(n)
	m.Set(m.Descriptor().Fields().ByName("yaml"), protoreflect.ValueOfString(string(text)))
	return err
}
