package runtime

import (
	"os"
	"testing"

	"minato.dev/minato/internal/run/alone"
	"minato.dev/minato/internal/shim/shimtest"
)

func TestMain(m *testing.M) {
	os.Exit(alone.Place{Root: "make containers", Before: shimtest.Environment}.Run(m))
}
