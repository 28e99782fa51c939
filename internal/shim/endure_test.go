package shim_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// rounds of TestEndure; 40 log 600,000 lines.
var rounds = flag.Int("rounds", 3, "how often TestEndure upgrades or kills, with 15,000 lines each time")

// TestEndure: while three containers log, the shim is replaced by itself and killed, and the keeper is killed, by turns. Each
// line is logged once and in order, and each end is told.
func TestEndure(t *testing.T) {
	n := newNode(t)
	const batch = 5000
	script := `n=0; r=0; while [ $r -lt %d ]; do while [ ! -e /go$r ]; do sleep 0.01; done
i=0; while [ $i -lt %d ]; do echo "line $n"; n=$((n+1)); i=$((i+1)); done; r=$((r+1)); done; exit %d`
	turns := []func(){
		func() {
			if err := n.Upgrade(ctxFor(t), binary); err != nil {
				t.Errorf("upgrade: %v", err)
			}
		},
		func() { kill9(n.info().Pid) },
		func() {
			old := n.info().KeeperPid
			kill9(old)
			eventually(t, "a new keeper", func() bool { return n.info().KeeperPid != old })
		},
	}
	var ids, logs []string
	for i := range 3 {
		r := n.request(nil, sh(fmt.Sprintf(script, *rounds, batch, 10+i))...)
		n.startRequest(r)
		ids, logs = append(ids, r.ID), append(logs, r.LogPath)
	}
	for r := range *rounds {
		if err := os.WriteFile(filepath.Join(n.rootfs, fmt.Sprint("go", r)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		turns[r%len(turns)]()
	}
	for i, id := range ids {
		if st := n.wait(id); st.ExitCode != 10+i || st.Reason != "" {
			t.Errorf("container %d: %+v", i, st)
		}
		next := 0
		for _, l := range logLines(t, logs[i]) {
			if want := fmt.Sprint("line ", next); l.text != want || l.tag != "F" || l.stream != "stdout" {
				t.Fatalf("container %d: got %s %s %q, want %q", i, l.stream, l.tag, l.text, want)
			}
			next++
		}
		if next != *rounds*batch {
			t.Errorf("container %d: %d lines of %d", i, next, *rounds*batch)
		}
	}
	t.Logf("%d lines, disturbed %d times: none lost, none doubled", len(ids)**rounds*batch, *rounds)
}
