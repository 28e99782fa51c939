package spec

import (
	"fmt"
	"strings"
)

// cut takes out of a v2 document the paths that are not served, and the definitions that then nobody needs: those of
// kinds of other group versions that no path that is left refers to.
func cut(swagger []byte) ([]byte, error) {
	doc, err := decode(swagger)
	if err != nil {
		return nil, fmt.Errorf("swagger.json: %w", err)
	}
	paths, definitions := doc["paths"].(map[string]any), doc["definitions"].(map[string]any)
	for p := range paths {
		if !Served(groupVersionOf(p)) {
			delete(paths, p)
		}
	}
	keep := map[string]bool{}
	for part, node := range doc {
		if part != "definitions" {
			reach(node, definitions, keep)
		}
	}
	for name, def := range definitions {
		if ofServedKind(def) && !keep[name] {
			keep[name] = true
			reach(def, definitions, keep)
		}
	}
	for name := range definitions {
		if !keep[name] {
			delete(definitions, name)
		}
	}
	return asServed(doc)
}

// groupVersionOf shortens "/apis/apps/v1/namespaces/..." to "apis/apps/v1".
func groupVersionOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	most := map[string]int{"api": 2, "apis": 3}[parts[0]]
	if most == 0 || len(parts) < most {
		most = len(parts)
	}
	return strings.Join(parts[:most], "/")
}

// reach marks every definition that node refers to, directly or not.
func reach(node any, definitions map[string]any, keep map[string]bool) {
	switch n := node.(type) {
	case []any:
		for _, x := range n {
			reach(x, definitions, keep)
		}
	case map[string]any:
		for k, x := range n {
			if ref, ok := x.(string); ok && k == "$ref" {
				name := strings.TrimPrefix(ref, "#/definitions/")
				if !keep[name] && definitions[name] != nil {
					keep[name] = true
					reach(definitions[name], definitions, keep)
				}
				continue
			}
			reach(x, definitions, keep)
		}
	}
}

// ofServedKind says whether a definition is that of a kind of a served group version.
func ofServedKind(def any) bool {
	m, _ := def.(map[string]any)
	kinds, _ := m["x-kubernetes-group-version-kind"].([]any)
	for _, k := range kinds {
		gvk, _ := k.(map[string]any)
		group, _ := gvk["group"].(string)
		version, _ := gvk["version"].(string)
		if group == "" && Served("api/"+version) || group != "" && Served("apis/"+group+"/"+version) {
			return true
		}
	}
	return false
}
