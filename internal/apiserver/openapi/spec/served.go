package spec

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// version is what the documents call the API; the module's own are made without one.
const version = "1.37"

// enums are the values of fields, with what they mean, which upstream's server adds by default and the module's documents
// lack: recorded from a server of the same release, by the name of a schema and the path of a field in it.
//
//go:embed enums.json
var enums []byte

// field is what enums says of one field; nil leaves what is there.
type field struct {
	Description *string  `json:"description"`
	Enum        []string `json:"enum"`
}

// addEnums adds them to the schemas of a document.
func addEnums(schemas map[string]any) error {
	var known map[string]map[string]field
	if err := json.Unmarshal(enums, &known); err != nil {
		return fmt.Errorf("enums.json: %w", err)
	}
	for name, fields := range known {
		schema, ok := schemas[name].(map[string]any)
		if !ok {
			continue // of another group's document
		}
		for path, f := range fields {
			at := schema
			for _, part := range strings.Split(path, ".") {
				if at, ok = at[part].(map[string]any); !ok {
					return fmt.Errorf("enums.json: %s has no %s: record it anew", name, path)
				}
			}
			if f.Description != nil {
				at["description"] = *f.Description
			}
			if f.Enum != nil {
				at["enum"] = f.Enum
			}
		}
	}
	return nil
}

// asServed brings one of the module's documents into the form that upstream's server shows by default: with the version and the
// values of fields, and without the encodings that only a feature gate turns on.
func asServed(doc map[string]any) ([]byte, error) {
	components, _ := doc["components"].(map[string]any)
	for _, part := range []any{components["schemas"], doc["definitions"]} {
		schemas, _ := part.(map[string]any)
		if err := addEnums(schemas); err != nil {
			return nil, err
		}
	}
	if info, ok := doc["info"].(map[string]any); ok {
		info["version"] = version
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(withoutCBOR(doc)); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

func decode(data []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var doc map[string]any
	err := dec.Decode(&doc)
	return doc, err
}

// ofCBOR says whether a media type is of an encoding that is off.
func ofCBOR(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/cbor") || strings.HasSuffix(mediaType, "+cbor")
}

// withoutCBOR takes the encoding out of every list and every map of encodings.
func withoutCBOR(node any) any {
	switch n := node.(type) {
	case []any:
		kept := make([]any, 0, len(n))
		for _, x := range n {
			if text, ok := x.(string); !ok || !ofCBOR(text) {
				kept = append(kept, withoutCBOR(x))
			}
		}
		return kept
	case map[string]any:
		for k, x := range n {
			if ofCBOR(k) {
				delete(n, k)
			} else {
				n[k] = withoutCBOR(x)
			}
		}
	}
	return node
}
