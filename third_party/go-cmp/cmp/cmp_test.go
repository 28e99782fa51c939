package cmp

import "testing"

type node struct {
	Name string
	Next *node
	tags map[string]int
}

func TestDiff(t *testing.T) {
	loop := &node{Name: "a"}
	loop.Next = loop
	other := &node{Name: "b"}
	other.Next = other
	for _, c := range []struct {
		name, want string
		x, y       any
	}{
		{name: "equal", x: []int{1}, y: []int{1}},
		{"types", "(root):\n\t- 1\n\t+ 1\n", 1, "1"},
		{"field", ".Next.Name:\n\t- b\n\t+ c\n", node{Next: &node{Name: "b"}}, node{Next: &node{Name: "c"}}},
		{"unexported map", ".tags[k]:\n\t- 1\n\t+ 2\n", node{tags: map[string]int{"k": 1}}, node{tags: map[string]int{"k": 2}}},
		{"longer list", "[1]:\n\t+ 2\n", []int{1}, []int{1, 2}},
		{"missing key", "[k]:\n\t- 1\n", map[string]int{"k": 1}, map[string]int{}},
		{"nil and empty", "(root):\n\t- []\n\t+ []\n", []int(nil), []int{}},
		{"circle", ".Name:\n\t- a\n\t+ b\n", loop, other},
	} {
		if got := Diff(c.x, c.y); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if Equal(c.x, c.y) != (c.want == "") {
			t.Errorf("%s: Equal says %v", c.name, Equal(c.x, c.y))
		}
	}
}
