package lint

import (
	"go/ast"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

func TestRoomsImportOneWay(t *testing.T) {
	may := map[string][]string{"cmd": {"*"}}
	for _, r := range rooms {
		may[r.name] = r.may
	}
	for _, f := range sources(t) {
		allowed, known := may[f.room]
		if !known {
			t.Errorf("%s: room %q is not in the list of rooms", f.path, f.room)
			continue
		}
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			rest, ours := strings.CutPrefix(path, module+"internal/")
			if !ours {
				continue
			}
			room, _, _ := strings.Cut(rest, "/")
			if room == f.room {
				continue
			}
			if only := onlyImporters[room]; !f.test && only != nil && !slices.Contains(only, f.room) {
				t.Errorf("%s: only %v may import room %s", f.at(imp.Pos()), only, room)
			}
			if !f.test && !slices.Contains(allowed, room) && !slices.Contains(allowed, "*") {
				t.Errorf("%s: room %s may not import room %s", f.at(imp.Pos()), f.room, room)
			}
		}
	}
}

func TestUpstreamPackagesAreGranted(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if !under(path, guarded) || granted(path) {
				continue
			}
			t.Errorf("%s: %s is not in the list of granted upstream packages", f.at(imp.Pos()), path)
		}
	}
}

func TestConfinedPackages(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			for _, c := range confined {
				if under(path, []string{c.tree}) && !under(f.dir, c.in) {
					t.Errorf("%s: only %v may import %s: %s", f.at(imp.Pos()), c.in, path, c.reason)
				}
			}
		}
	}
}

func under(path string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") })
}

func granted(path string) bool {
	return slices.ContainsFunc(grants, func(g grant) bool {
		tree, all := strings.CutSuffix(g.path, "/...")
		return path == tree || all && strings.HasPrefix(path, tree+"/")
	})
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string]int{}
	for _, f := range sources(t) {
		if f.test && strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		if _, seen := comments[f.dir]; !seen {
			comments[f.dir] = 0
		}
		if f.ast.Doc != nil && (strings.HasPrefix(f.ast.Doc.Text(), "Package ") || strings.HasPrefix(f.ast.Doc.Text(), "Command ") || f.ast.Name.Name == "main") {
			comments[f.dir]++
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s: has %d package comments, wants one", dir, n)
		}
	}
}

func TestForbiddenCalls(t *testing.T) {
	for _, f := range sources(t) {
		if f.ast.Name.Name == "main" {
			f.room = "cmd"
		}
		var loops []ast.Node
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ForStmt, *ast.RangeStmt:
				loops = append(loops, n)
			case *ast.CallExpr:
				inLoop := slices.ContainsFunc(loops, func(l ast.Node) bool { return l.Pos() <= n.Pos() && n.End() <= l.End() })
				checkCall(t, f, n, inLoop)
			}
			return true
		})
	}
}

func checkCall(t *testing.T, f file, call *ast.CallExpr, inLoop bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return
	}
	name := x.Name + "." + sel.Sel.Name
	for _, b := range bans {
		if b.call != name || f.test && !b.tests || b.loops && inLoop || slices.Contains(b.except, f.room) || excused[[2]string{f.path, name}] != "" {
			continue
		}
		t.Errorf("%s: %s: %s", f.at(call.Pos()), name, b.reason)
	}
}

func TestGoroutinesHaveAnOwner(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || goAllowed[f.room] != "" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: start goroutines through package run", f.at(g.Pos()))
			}
			return true
		})
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || initAllowed[f.room] != "" {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init function: make an explicit list instead", f.at(fn.Pos()))
			}
		}
	}
}

// TestSizes bounds the tail and reports the middle.
func TestSizes(t *testing.T) {
	var files, functions []int
	for _, f := range sources(t) {
		lines := f.fset.Position(f.ast.End()).Line
		if !f.test {
			files = append(files, lines)
		}
		if lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", f.path, lines, maxFileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			if !f.test {
				functions = append(functions, n)
				if n > maxFunctionLines {
					t.Errorf("%s: function %s has %d lines, at most %d", f.at(fn.Pos()), fn.Name.Name, n, maxFunctionLines)
				}
			}
		}
	}
	t.Logf("%d files: median %d lines, 90 %% within %d; %d functions: median %d, 90 %% within %d",
		len(files), rank(files, 50), rank(files, 90), len(functions), rank(functions, 50), rank(functions, 90))
}

func rank(v []int, percent int) int {
	sort.Ints(v)
	return v[(len(v)-1)*percent/100]
}
