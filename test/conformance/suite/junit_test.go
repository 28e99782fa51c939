package suite

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"minato.dev/minato/test/conformance/ratchet"
)

const report = `<testsuites><testsuite>
<testcase name="[It] a passes [NodeConformance] [Conformance] [Slow] [sig-x, Conformance, NodeConformance]" time="1.5"></testcase>
<testcase name="[It] b fails [Conformance]" time="2"><failure message="no&#xA;pod" type="failed">at line 3</failure></testcase>
<testcase name="[It] c skips itself [Conformance]" time="0"><skipped message="skipped - needs two nodes"></skipped></testcase>
<testcase name="[It] d was filtered out [Conformance]" time="0"><skipped message="skipped"></skipped></testcase>
<testcase name="[It] e nobody asked for [Conformance]" time="1"></testcase>
<testcase name="[SynchronizedBeforeSuite]" time="3"><error message="no node is ready"></error></testcase>
</testsuite></testsuites>`

func TestReadTellsWhatTestsDid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "junit_01.xml"), []byte(report), 0o644); err != nil {
		t.Fatal(err)
	}
	got := map[string]Result{}
	wanted := map[string]bool{"a passes [NodeConformance] [Conformance] [Slow]": true, "b fails [Conformance]": true, "c skips itself [Conformance]": true, "d was filtered out [Conformance]": true}
	faults, err := read(dir, wanted, got)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Result{
		"a passes [NodeConformance] [Conformance] [Slow]": {ratchet.Passed, 1.5, ""},
		"b fails [Conformance]":                           {ratchet.Failed, 2, "no pod at line 3"},
		"c skips itself [Conformance]":                    {ratchet.NotRun, 0, "skipped - needs two nodes"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(faults) != 1 || faults[0] != "[SynchronizedBeforeSuite]: no node is ready" {
		t.Errorf("faults: %q", faults)
	}
}
