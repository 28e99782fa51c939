// Package upstream reads the schema of managed fields out of client-go's source, for the generator and the tests of
// package ownership; nothing else imports it.
package upstream

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// Parser parses the YAML text that client-go's applyconfigurations keep to themselves, from the module that this tree
// is built with.
func Parser() (*typed.Parser, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/client-go").Output()
	if err != nil {
		return nil, fmt.Errorf("find k8s.io/client-go: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "applyconfigurations", "internal", "internal.go")
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	var text string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "schemaYAML" {
			text, err = literal(v.Values[0])
		}
		return err == nil
	})
	if err == nil && text == "" {
		err = errors.New("no schemaYAML")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return typed.NewParser(typed.YAMLObject(text))
}

func literal(e ast.Expr) (string, error) {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 {
		e = call.Args[0]
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return "", fmt.Errorf("schemaYAML is a %T, not a string", e)
	}
	return strconv.Unquote(lit.Value)
}
