package suite

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"minato.dev/minato/test/conformance/ratchet"
)

// Result is what one test did.
type Result struct {
	State   ratchet.State
	Seconds float64
	Failure string // first lines
}

type junit struct {
	Suites []struct {
		Cases []testcase `xml:"testcase"`
	} `xml:"testsuite"`
}

type testcase struct {
	Name    string  `xml:"name,attr"`
	Time    float64 `xml:"time,attr"`
	Failure *fault  `xml:"failure"`
	Error   *fault  `xml:"error"`
	Skipped *fault  `xml:"skipped"`
}

type fault struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// read adds the results of one directory's reports. A test that was filtered out is no result; a test that skipped itself
// was not run. Faults outside of tests (before the suite, after it) are returned by themselves.
func read(dir string, wanted map[string]bool, into map[string]Result) (faults []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "junit_*.xml"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var doc junit
		if err := xml.Unmarshal(body, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, s := range doc.Suites {
			for _, c := range s.Cases {
				if f := c.record(wanted, into); f != "" {
					faults = append(faults, f)
				}
			}
		}
	}
	return faults, nil
}

// labels is the list that ginkgo appends to a name.
var labels = regexp.MustCompile(` \[[^\]]*, [^\]]*\]$`)

func (c testcase) record(wanted map[string]bool, into map[string]Result) (outside string) {
	bad := c.Failure
	if bad == nil {
		bad = c.Error
	}
	name, isTest := strings.CutPrefix(c.Name, "[It] ")
	name = labels.ReplaceAllString(name, "")
	switch {
	case !isTest && bad != nil:
		return c.Name + ": " + bad.first()
	case !isTest || !wanted[name]:
	case bad != nil:
		into[name] = Result{ratchet.Failed, c.Time, bad.first()}
	case c.Skipped == nil:
		into[name] = Result{ratchet.Passed, c.Time, ""}
	case strings.TrimSpace(c.Skipped.Message) != "" && c.Skipped.Message != "skipped":
		into[name] = Result{ratchet.NotRun, c.Time, c.Skipped.first()}
	}
	return ""
}

// first is the start of what a failure says, on one line.
func (f fault) first() string {
	text := strings.Join(strings.Fields(f.Message+" "+f.Text), " ")
	return text[:min(len(text), 400)]
}
