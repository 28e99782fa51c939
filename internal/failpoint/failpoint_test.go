package failpoint

import "testing"

func TestParse(t *testing.T) {
	for spec, at := range map[string]string{"3": "a", "b:1": "b", "a:3": "a#4", "undo pod network:2": ""} {
		died, seen := "", ""
		f, err := parse(spec, func() { died = seen })
		if err != nil {
			t.Fatal(err)
		}
		for _, seen = range []string{"a", "b", "a", "a#4"} {
			point := seen
			if point == "a#4" {
				point = "a"
			}
			f(point)
		}
		if died != at {
			t.Errorf("%q died at %q, want %q", spec, died, at)
		}
	}
	if f, err := Parse(""); f != nil || err != nil {
		t.Errorf("nothing asked for: %v", err)
	}
	for _, spec := range []string{"x", "0", "a:", ":-1"} {
		if _, err := Parse(spec); err == nil {
			t.Errorf("%q was taken", spec)
		}
	}
}
