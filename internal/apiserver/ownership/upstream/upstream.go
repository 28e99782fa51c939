// Package upstream reads the schema of managed fields out of the Kubernetes module's OpenAPI documents, for the generator
// and the tests of package ownership; nothing else imports it.
package upstream

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v2"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	documents "minato.dev/minato/internal/apiserver/openapi/spec"
)

// Parser converts the documents of everything that is served, as upstream's server does with its own.
func Parser() (*typed.Parser, error) {
	docs, err := documents.Load()
	if err != nil {
		return nil, err
	}
	models := map[string]*spec.Schema{}
	for path, data := range docs.V3 {
		var doc struct {
			Components struct {
				Schemas map[string]*spec.Schema `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(data, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for name, s := range doc.Components.Schemas {
			models[name] = s
		}
	}
	out, err := schemaconv.ToSchemaFromOpenAPI(models, false)
	if err != nil {
		return nil, fmt.Errorf("convert the OpenAPI models: %w", err)
	}
	slices.SortFunc(out.Types, func(a, b schema.TypeDef) int { return strings.Compare(a.Name, b.Name) })
	for i := range out.Types {
		order(&out.Types[i].Atom)
	}
	// Defaults shall have the types that a YAML parser gives, as the merge code expects of a schema: JSON knows no integers.
	text, err := yaml.Marshal(schema.Schema{Types: out.Types})
	if err != nil {
		return nil, err
	}
	return typed.NewParser(typed.YAMLObject(text))
}

// order sorts the fields of a type, which the conversion has in any order, so that the same documents give the same schema.
func order(a *schema.Atom) {
	if a.List != nil {
		order(&a.List.ElementType.Inlined)
	}
	if a.Map == nil {
		return
	}
	order(&a.Map.ElementType.Inlined)
	slices.SortFunc(a.Map.Fields, func(x, y schema.StructField) int { return strings.Compare(x.Name, y.Name) })
	for i := range a.Map.Fields {
		order(&a.Map.Fields[i].Type.Inlined)
	}
}
