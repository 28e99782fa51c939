package dns

import (
	"os"
	"testing"

	"minato.dev/minato/internal/run/alone"
)

func TestMain(m *testing.M) { os.Exit(alone.Place{Root: "listen on the port of name servers"}.Run(m)) }
