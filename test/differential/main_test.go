package differential

import (
	"os"
	"testing"

	"minato.dev/minato/internal/run/alone"
)

func TestMain(m *testing.M) { os.Exit(alone.Place{}.Run(m)) }
