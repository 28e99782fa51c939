// Command generate writes the schema of managed fields, as package ownership reads it, into the file that it is given.
package main

import (
	"fmt"
	"os"

	"minato.dev/minato/internal/apiserver/ownership"
	"minato.dev/minato/internal/apiserver/ownership/upstream"
)

func main() {
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(file string) error {
	p, err := upstream.Parser()
	if err != nil {
		return err
	}
	b, err := ownership.Encode(&p.Schema)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}
