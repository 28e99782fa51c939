package ownership

import (
	_ "embed"
	"fmt"

	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

//go:embed schema.bin
var encoded []byte

// Parser returns the schema of all built-in kinds. Each call decodes it anew; keep what it returns.
func Parser() (*typed.Parser, error) {
	p := &typed.Parser{}
	if err := Decode(encoded, &p.Schema); err != nil {
		return nil, fmt.Errorf("schema of managed fields: %w", err)
	}
	return p, nil
}
