package main

import (
	"context"
	"strings"
	"sync/atomic"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/runtimes"
)

// A side is a runtime with the pods that are made by it.
type side struct {
	*runtimes.Runtime
	n atomic.Int64
}

// memory of the runtime's processes, the containers' programs apart.
func (s *side) memory(context.Context) (int64, error) {
	var sum int64
	err := eachProcess(s.Group.Path, func(pid int, command string) {
		if strings.HasPrefix(command, "sleep\x00") || strings.HasPrefix(command, "/bin/sleep\x00") {
			return
		}
		sum += measure.Memory(pid, "smaps_rollup", "Pss")
	})
	return sum, err
}
