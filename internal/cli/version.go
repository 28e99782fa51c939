package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (e *env) versionVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(e.out, "minato %s (Kubernetes API %s) %s %s/%s\n", e.version, "v1.37.2", runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
