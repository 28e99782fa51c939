package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"minato.dev/minato/test/conformance/ratchet"
	"minato.dev/minato/test/conformance/suite"
)

// report writes the ratchet, the README's count and a list of failures, prints what changed, and returns an error when a
// test that had passed fails, in this run and twice more by itself.
func (o options) report(book ratchet.Book, seen, again map[string]suite.Result, file string) error {
	states := map[string]ratchet.State{}
	count := map[ratchet.State]int{}
	var failures strings.Builder
	for _, test := range slices.Sorted(maps.Keys(seen)) {
		r := seen[test]
		count[r.State]++
		if r.State == ratchet.Failed {
			fmt.Fprintf(&failures, "%s\t%.0f s\t%s\n", test, r.Seconds, r.Failure)
		}
		states[test] = r.State
		if second, ok := again[test]; ok {
			states[test] = second.State
			if second.State == ratchet.Passed {
				fmt.Printf("flaky, passed when run again by itself: %s: %s\n", test, r.Failure)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(o.out, "failed.txt"), []byte(failures.String()), 0o644); err != nil {
		return err
	}
	next, gained, lost := book.Merge(states)
	for _, t := range gained {
		fmt.Println("passes now:", t)
	}
	for _, t := range lost {
		fmt.Println("had passed and fails:", t)
	}
	if o.kubelet == "" {
		if err := next.Write(file); err != nil {
			return err
		}
		if err := o.readme(next); err != nil {
			return err
		}
	}
	fmt.Printf("%d passed, %d failed, %d not run; %d of all %d conformance tests have passed\n",
		count[ratchet.Passed], count[ratchet.Failed], count[ratchet.NotRun], next.Count(ratchet.Passed), len(next))
	if len(lost) > 0 {
		return fmt.Errorf("%d tests that had passed fail; failures: %s", len(lost), filepath.Join(o.out, "failed.txt"))
	}
	return nil
}

var countLine = regexp.MustCompile(`\*\*\d+ of \d+\*\* conformance tests`)

// readme brings the count in the README up to date.
func (o options) readme(b ratchet.Book) error {
	if o.doc == "" {
		return nil
	}
	body, err := os.ReadFile(o.doc)
	if err != nil {
		return err
	}
	if !countLine.Match(body) {
		return fmt.Errorf("%s has no words like %q to bring up to date", o.doc, "**1 of 462** conformance tests")
	}
	next := countLine.ReplaceAll(body, fmt.Appendf(nil, "**%d of %d** conformance tests", b.Count(ratchet.Passed), len(b)))
	if string(next) == string(body) {
		return nil
	}
	return os.WriteFile(o.doc, next, 0o644)
}
