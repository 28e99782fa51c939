// Package apitest reads upstream's own test data, the measure of every room that knows kinds.
//
// It is for tests only: it reads the source of k8s.io/kubernetes in the module cache.
package apitest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// UpstreamDir is the source of k8s.io/kubernetes in the module cache, whose test data is the measure of this package.
func UpstreamDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		t.Fatalf("find k8s.io/kubernetes: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// StubNamespace is the namespace of the table's namespaced objects.
const StubNamespace = "etcdstoragepathtestnamespace"

// Stub is one entry of upstream's table of what etcd holds for each resource.
type Stub struct {
	GVR  schema.GroupVersionResource
	JSON string                  // an object without apiVersion and kind
	Path string                  // its key in etcd
	GVK  schema.GroupVersionKind // as which it is stored; empty: the resource's own version
}

// Stubs reads upstream's table from its Go source.
func Stubs(t testing.TB) []Stub {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(UpstreamDir(t), "test/integration/etcd/data.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []Stub
	ast.Inspect(file, func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, ok := kv.Key.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name, ok := key.Fun.(*ast.Ident); !ok || name.Name != "gvr" {
			return true
		}
		s := Stub{GVR: schema.GroupVersionResource{Group: constant(key.Args[0]), Version: constant(key.Args[1]), Resource: constant(key.Args[2])}}
		entry, ok := kv.Value.(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, e := range entry.Elts {
			f := e.(*ast.KeyValueExpr)
			switch f.Key.(*ast.Ident).Name {
			case "Stub":
				s.JSON = constant(f.Value)
			case "ExpectedEtcdPath":
				s.Path = constant(f.Value)
			case "ExpectedGVK":
				if c, ok := f.Value.(*ast.CallExpr); ok {
					s.GVK = schema.GroupVersionKind{Group: constant(c.Args[0]), Version: constant(c.Args[1]), Kind: constant(c.Args[2])}
				}
			}
		}
		out = append(out, s)
		return true
	})
	if len(out) < 80 {
		t.Fatalf("upstream's table has %d entries, want many more", len(out))
	}
	return out
}

// text evaluates a constant string expression of the table.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		return constant(e.X) + constant(e.Y)
	case *ast.Ident:
		if e.Name == "namespace" {
			return StubNamespace
		}
		return "registry.example/" + strings.ToLower(e.Name) + ":1"
	}
	return ""
}
