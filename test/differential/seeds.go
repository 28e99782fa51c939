package differential

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed seeds
var seedFiles embed.FS

// A Seed is one valid object of a kind with what may become of it.
type Seed struct {
	Object map[string]any `json:"object"`
	Change map[string]any `json:"change"` // merge patch that is allowed
	Status map[string]any `json:"status"` // status to set, where the kind has one
	Kind   Kind           `json:"-"`
}

// Name of the object.
func (s Seed) Name() string { return lookup(s.Object, "metadata.name").(string) }

// Body is the object under another name.
func (s Seed) Body(name string) string { return text(s.Named(name)) }

// Named is a copy under another name.
func (s Seed) Named(name string) map[string]any {
	o := clone(s.Object)
	o["metadata"].(map[string]any)["name"] = name
	return o
}

func clone(m map[string]any) map[string]any {
	v, err := jsonValue([]byte(text(m)))
	if err != nil {
		panic(err) // it was JSON a moment ago
	}
	return v.(map[string]any)
}

// text is JSON without the escapes that are for web pages.
func text(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only made of JSON values
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Seeds reads all of them, in the order of files.
func Seeds(kinds []Kind) (out []Seed, err error) {
	files, err := seedFiles.ReadDir("seeds")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := seedFiles.ReadFile("seeds/" + f.Name())
		if err != nil {
			return nil, err
		}
		for i, doc := range strings.Split(string(b), "\n---\n") {
			var s Seed
			if err := yaml.UnmarshalStrict([]byte(doc), &s); err != nil {
				return nil, fmt.Errorf("%s: document %d: %w", f.Name(), i+1, err)
			}
			s.Object = clone(s.Object)
			if s.Kind, err = find(kinds, fmt.Sprint(s.Object["apiVersion"]), fmt.Sprint(s.Object["kind"])); err != nil {
				return nil, fmt.Errorf("%s: document %d: %w", f.Name(), i+1, err)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

func find(kinds []Kind, groupVersion, kind string) (Kind, error) {
	for _, k := range kinds {
		if k.GroupVersion == groupVersion && k.Kind == kind {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("upstream serves no %s %s", groupVersion, kind)
}
