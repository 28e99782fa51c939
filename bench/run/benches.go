package main

import (
	"fmt"
	"strings"
)

// benches are all commands that are run, in the order of the report.
var benches = []string{"size", "start", "idle", "pod", "runtime", "schedule", "list", "watch", "write", "memory"}

// chosen are the benches named in only, a list with commas, in the order of the report; all where it is empty.
func chosen(only string) ([]string, error) {
	if strings.TrimSpace(only) == "" {
		return benches, nil
	}
	want := map[string]bool{}
	for _, n := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' || r == ' ' }) {
		want[n] = true
	}
	var out []string
	for _, b := range benches {
		if want[b] {
			out = append(out, b)
			delete(want, b)
		}
	}
	for n := range want {
		return nil, fmt.Errorf("there is no bench %q; there are %s", n, strings.Join(benches, ", "))
	}
	return out, nil
}
