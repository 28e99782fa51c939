package spec

import (
	"bytes"
	"encoding/json"
	"strings"
)

// version is what the documents call the API; the module's own are made without one.
const version = "1.37"

// asServed brings one of the module's documents into the form that upstream's server shows by default: with the version, and
// without the encodings that only a feature gate turns on.
func asServed(doc map[string]any) ([]byte, error) {
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

const cbor = "application/cbor"

// withoutCBOR takes the encoding out of every list and every map of encodings.
func withoutCBOR(node any) any {
	switch n := node.(type) {
	case []any:
		kept := make([]any, 0, len(n))
		for _, x := range n {
			if text, ok := x.(string); !ok || !strings.HasPrefix(text, cbor) {
				kept = append(kept, withoutCBOR(x))
			}
		}
		return kept
	case map[string]any:
		for k, x := range n {
			if strings.HasPrefix(k, cbor) {
				delete(n, k)
			} else {
				n[k] = withoutCBOR(x)
			}
		}
	}
	return node
}
