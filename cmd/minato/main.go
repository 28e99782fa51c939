// Command minato is the whole Kubernetes: it parses the command line and hands over.
package main

import (
	"os"

	_ "minato.dev/minato/cmd/minato/early" // becomes the builder before all else starts

	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/cli"
)

func main() { os.Exit(cli.Main(health.Version(), os.Args[1:], os.Stdout, os.Stderr)) }
