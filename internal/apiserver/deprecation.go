package apiserver

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
)

// What upstream's types say of their own end.
type (
	deprecatedType interface{ APILifecycleDeprecated() (major, minor int) }
	removedType    interface{ APILifecycleRemoved() (major, minor int) }
	replacedType   interface {
		APILifecycleReplacement() schema.GroupVersionKind
	}
)

// apiMinor is the minor version of the API that is served.
const apiMinor = 37

// deprecation is the warning that callers of a deprecated version get, "" for all others.
func deprecation(gvk schema.GroupVersionKind) string {
	obj, err := api.Scheme().New(gvk)
	if err != nil {
		return "" // a virtual kind without a type of its own
	}
	t, ok := obj.(deprecatedType)
	if !ok {
		return ""
	}
	major, minor := t.APILifecycleDeprecated()
	if major != 1 || minor > apiMinor {
		return ""
	}
	text := fmt.Sprintf("%s %s is deprecated in v%d.%d+", gvk.GroupVersion(), gvk.Kind, major, minor)
	if r, ok := obj.(removedType); ok {
		if major, minor := r.APILifecycleRemoved(); major != 0 {
			text += fmt.Sprintf(", unavailable in v%d.%d+", major, minor)
		}
	}
	if r, ok := obj.(replacedType); ok {
		if next := r.APILifecycleReplacement(); !next.Empty() {
			text += fmt.Sprintf("; use %s %s", next.GroupVersion(), next.Kind)
		}
	}
	return text
}

// removal is the release that has the version no more, "" where none is known.
func removal(gvk schema.GroupVersionKind) string {
	obj, err := api.Scheme().New(gvk)
	if err != nil {
		return ""
	}
	if r, ok := obj.(removedType); ok {
		if major, minor := r.APILifecycleRemoved(); major != 0 {
			return fmt.Sprintf("%d.%d", major, minor)
		}
	}
	return ""
}
