// Command minato is the whole Kubernetes: it parses the command line and hands over.
package main

import (
	"os"

	"minato.dev/minato/internal/cli"
)

// version is set by the linker.
var version = "v1.37.2+minato.dev"

func main() { os.Exit(cli.Main(version, os.Args[1:], os.Stdout, os.Stderr)) }
