package main

import (
	"strings"
	"testing"
)

func TestEnough(t *testing.T) {
	for _, c := range []struct {
		name             string
		free, used, need int64
		node             bool
		want             string // in the error; "" for none
	}{
		{"room", 40 * gib, 60 * gib, forRun, true, ""},
		{"too little", gib, gib, forRun, true, "1.0 GiB left, and 2.0 are needed"},
		{"a node under pressure", 10 * gib, 90 * gib, forRun, true, "10 % of the disk are left"},
		{"a nearly full disk for builds", 10 * gib, 90 * gib, forBuild, false, ""},
	} {
		err := enough("/x", c.free, c.used, c.need, c.node)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
