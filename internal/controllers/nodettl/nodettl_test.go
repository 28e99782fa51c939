package nodettl

import "testing"

func TestStepFor(t *testing.T) {
	for _, c := range []struct{ nodes, at, seconds int }{
		{1, 0, 0}, {100, 0, 0}, {101, 0, 15}, {95, 1, 15}, {89, 1, 0}, {5000, 0, 300}, {20000, 0, 600}, {3, 5, 0}, {9000, 5, 600}, {8999, 5, 300},
	} {
		if got := steps[stepFor(c.nodes, c.at)].seconds; got != c.seconds {
			t.Errorf("%d nodes, from step %d: %d s, want %d s", c.nodes, c.at, got, c.seconds)
		}
	}
}
