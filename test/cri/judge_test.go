package cri

import (
	"context"
	_ "embed"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// A check is one case: what is done, and the transcript that it must have.
type check struct {
	name string
	do   func(r *run)
	want string
}

// tables are all cases, by what they are about.
var tables = []struct {
	name   string
	checks []check
}{
	{"node", node}, {"sandbox", sandbox}, {"container", container}, {"process", process}, {"security", security}, {"namespaces", namespaces},
	{"mounts", mounts}, {"devices", devices}, {"resources", resources}, {"logs", logs}, {"streams", streams}, {"events", events}, {"images", images},
}

// accepted.yaml holds the transcripts of containerd that are other than ours, each with the reason why ours stays.
//
//go:embed accepted.yaml
var acceptedFile []byte

// handlers.yaml holds, by handler, the transcripts of other OCI runtimes that are other than ours; "*" where one is never
// the same twice.
//
//go:embed handlers.yaml
var handlersFile []byte

type acceptance struct {
	Reason     string `json:"reason"`
	Containerd string `json:"containerd"` // its transcript
}

func TestCRI(t *testing.T) {
	accepted, other := readAccepted(t), readHandlers(t)
	l := layer(t)
	archives := [][]byte{saved(t, l, toolbox, ""), saved(t, l, userless, "web"), saved(t, l, numbered, "1000:2000")}
	sides := []*side{ours(t, archives)}
	if *containerdToo {
		sides = append(sides, theirs(t, archives))
	}
	for _, s := range sides {
		s.share(t)
		serveImages(t, s, l)
	}
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			for _, c := range table.checks {
				if said, ok := other[table.name+"/"+c.name]; ok {
					c.want = said
				}
				t.Run(c.name, func(t *testing.T) { judge(t, c, sides, accepted[table.name+"/"+c.name]) })
			}
		})
	}
}

// readAccepted reads accepted.yaml and holds it against the tables.
func readAccepted(t *testing.T) map[string]acceptance {
	accepted, known := map[string]acceptance{}, map[string]bool{}
	if err := yaml.UnmarshalStrict(acceptedFile, &accepted); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, c := range table.checks {
			known[table.name+"/"+c.name] = true
		}
	}
	for name, a := range accepted {
		if !known[name] || a.Reason == "" {
			t.Errorf("accepted.yaml: %q: no such case, or no reason", name)
		}
	}
	return accepted
}

// readHandlers returns what our side says by the handler of this run where that is not the tables' word.
func readHandlers(t *testing.T) map[string]string {
	var all map[string]map[string]struct{ Reason, Said string }
	if err := yaml.UnmarshalStrict(handlersFile, &all); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for name, a := range all[*handler] {
		if a.Reason == "" {
			t.Errorf("handlers.yaml: %s: no reason", name)
		}
		said[name] = a.Said
	}
	return said
}

// judge runs a case on all sides at once.
func judge(t *testing.T, c check, sides []*side, a acceptance) {
	got := make([]string, len(sides))
	var wait sync.WaitGroup
	for i, s := range sides {
		wait.Add(1)
		go func() { defer wait.Done(); got[i] = transcript(t, c, s) }()
	}
	wait.Wait()
	if want := strings.TrimPrefix(c.want, "\n"); got[0] != want && want != "*" {
		t.Errorf("ours said\n%s\nwant\n%s", got[0], want)
	}
	if len(sides) == 1 {
		return
	}
	switch theirs := got[1]; {
	case a.Reason != "" && theirs != a.Containerd:
		t.Errorf("containerd said\n%s\naccepted.yaml has\n%s", theirs, a.Containerd)
	case a.Reason == "" && theirs != got[0]:
		t.Errorf("ours said\n%s\ncontainerd said\n%s", got[0], theirs)
	}
}

func transcript(t *testing.T, c check, s *side) string {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r := &run{side: s, ctx: ctx}
	func() {
		defer func() {
			if e := recover(); e != nil && e != (over{}) {
				panic(e)
			}
		}()
		c.do(r)
	}()
	if err := r.tidy(); err != nil {
		r.say("tidy: %v", err)
	}
	return r.out.String()
}
