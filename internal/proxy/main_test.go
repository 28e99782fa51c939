package proxy

import (
	"os"
	"testing"

	"minato.dev/minato/internal/run/alone"
)

func TestMain(m *testing.M) { os.Exit(alone.Place{Mounts: true}.Run(m)) }
