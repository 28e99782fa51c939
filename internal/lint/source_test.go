package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "minato.dev/minato/"

// file is one parsed Go file of the project.
type file struct {
	path string // from the root: "internal/run/scope.go"
	room string // "run", or "cmd" for programs
	dir  string
	test bool // a test, or a package whose name ends in "test" and serves tests
	fset *token.FileSet
	ast  *ast.File
}

func (f file) at(p token.Pos) string {
	return f.path + ":" + itoa(f.fset.Position(p).Line)
}

func itoa(n int) string {
	digits := ""
	for ; n > 0; n /= 10 {
		digits = string(rune('0'+n%10)) + digits
	}
	return digits
}

// sources parses internal/ and cmd/, without generated files and test data.
func sources(t *testing.T) (out []file) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, top := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasPrefix(d.Name(), "zz_generated") {
				return nil
			}
			fset := token.NewFileSet()
			parsed, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			parts := strings.Split(rel, string(filepath.Separator))
			room := parts[1]
			if parts[0] == "cmd" {
				room = "cmd"
			}
			out = append(out, file{rel, room, filepath.Dir(rel), strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(rel), "test"), fset, parsed})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(out) < 10 {
		t.Fatalf("found only %d files: the walk is broken", len(out))
	}
	return out
}
