package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// treeOf reads JSON into a YAML tree, which keeps the order of members as the protobuf form does and turns into the
// text that it wants.
func treeOf(document []byte) (*yaml.Node, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	return node(d, t)
}

// node reads the rest of the value that begins with t.
func node(d *json.Decoder, t json.Token) (*yaml.Node, error) {
	switch t := t.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if t == '[' {
			n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		}
		return n, children(d, n)
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(t)}, nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(t.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.String()}, nil
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	}
	return nil, errors.New("no JSON") // the decoder has no other tokens
}

// children reads until the end of an object or a list.
func children(d *json.Decoder, n *yaml.Node) error {
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		child, err := node(d, t)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := d.Token()
	return err
}
