package main

import (
	"fmt"
	"slices"
	"strings"

	"minato.dev/minato/bench/upstream"
)

// A bench is a command beside this one, and what it needs of upstream's: built before it runs, so that its time is its own.
type bench struct {
	name  string
	needs []string
}

var runtimePrograms = []string{"containerd", "containerd-shim-runc-v2", "ctr", "pause"}

// benches are all, in the order of the report.
var benches = []bench{
	{"size", append(upstream.Programs(), upstream.Builder...)},
	{"start", upstream.Programs()},
	{"idle", upstream.Programs()},
	{"pod", upstream.Programs()},
	{"runtime", runtimePrograms},
	{"pull", runtimePrograms},
	{"build", append(slices.Clone(runtimePrograms), upstream.Builder...)},
	{"schedule", append(slices.Clone(upstream.Plane), "kube-scheduler")},
	{"list", upstream.Plane},
	{"watch", upstream.Plane},
	{"write", upstream.Plane},
	{"memory", upstream.Plane},
}

// names are those of the benches.
func names(list []bench) (out []string) {
	for _, b := range list {
		out = append(out, b.name)
	}
	return out
}

// chosen are the benches named in only, a list with commas, in the order of the report; all where it is empty.
func chosen(only string) ([]bench, error) {
	want := strings.FieldsFunc(only, func(r rune) bool { return r == ',' || r == ' ' })
	for _, n := range want {
		if !slices.Contains(names(benches), n) {
			return nil, fmt.Errorf("there is no bench %q; there are %s", n, strings.Join(names(benches), ", "))
		}
	}
	if len(want) == 0 {
		return benches, nil
	}
	return slices.DeleteFunc(slices.Clone(benches), func(b bench) bool { return !slices.Contains(want, b.name) }), nil
}
