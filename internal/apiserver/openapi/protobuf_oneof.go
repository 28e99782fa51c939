package openapi

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fillOneof sets that field of a oneof which the value is.
func fillOneof(m protoreflect.Message, n *yaml.Node) error {
	d := m.Descriptor()
	if d.Name() == "DefaultType" && n.Kind != yaml.ScalarNode {
		return nil // the schema has only scalars there: that there is a default is kept, what it is is lost
	}
	field := d.Fields().ByName(oneOf(d, n))
	if field == nil {
		return fmt.Errorf("nothing that %s may be", d.Name())
	}
	return fillField(m, field, n)
}

// oneOf names the field, or one that does not exist.
func oneOf(d protoreflect.MessageDescriptor, n *yaml.Node) protoreflect.Name {
	switch n.Tag {
	case "!!map":
		return oneOfObjects(d, n)
	case "!!bool":
		return "boolean"
	case "!!str":
		return "string"
	case "!!int", "!!float":
		return "number"
	}
	return ""
}

// oneOfObjects goes by the members that tell one kind of object from another.
func oneOfObjects(d protoreflect.MessageDescriptor, n *yaml.Node) protoreflect.Name {
	switch d.Name() {
	case "Parameter":
		if scalar(n, "in") == "body" {
			return "body_parameter"
		}
		return "non_body_parameter"
	case "NonBodyParameter":
		return nonBody[scalar(n, "in")]
	case "SecurityDefinitionsItem":
		return security[scalar(n, "type")+scalar(n, "flow")]
	case "SchemaItem":
		if scalar(n, "type") == "file" {
			return "file_schema"
		}
	}
	if last := d.Fields().Get(d.Fields().Len() - 1).Name(); scalar(n, "$ref") != "" && strings.HasSuffix(string(last), "reference") {
		return last
	}
	return d.Fields().Get(0).Name()
}

// scalar returns the text of a member, or "".
func scalar(n *yaml.Node, name string) string {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// nonBody names the fields of NonBodyParameter by "in".
var nonBody = map[string]protoreflect.Name{
	"header":   "header_parameter_sub_schema",
	"formData": "form_data_parameter_sub_schema",
	"query":    "query_parameter_sub_schema",
	"path":     "path_parameter_sub_schema",
}

// security names the fields of SecurityDefinitionsItem by "type" and "flow".
var security = map[string]protoreflect.Name{
	"basic":             "basic_authentication_security",
	"apiKey":            "api_key_security",
	"oauth2implicit":    "oauth2_implicit_security",
	"oauth2password":    "oauth2_password_security",
	"oauth2application": "oauth2_application_security",
	"oauth2accessCode":  "oauth2_access_code_security",
}
