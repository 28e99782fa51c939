package measure

import (
	"fmt"
	"os"
)

// TagVariable names the variable by which bench/run tells a command how to name what it makes on the machine.
const TagVariable = "MINATO_BENCH_TAG"

// Tag begins the name of every network namespace and cgroup of this run, so that what a command that was killed left
// behind can be found. bench/run chooses it; a command that runs by itself has its own.
func Tag() string {
	if t := os.Getenv(TagVariable); t != "" {
		return t
	}
	return fmt.Sprintf("mbench%d", os.Getpid())
}
