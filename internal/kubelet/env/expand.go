// Package env computes a container's environment, command and arguments from its spec.
//
// Package steps calls Of when it creates a container. Everything that has to be read (config maps, secrets, services,
// addresses) comes in through Source, so that the rest is pure and tests are tables.
package env

import "strings"

// Expand replaces $(NAME) with the value of NAME. $$ stands for one $, so $$(NAME) stays as $(NAME); a reference to a
// name that is not known stays as it is.
func Expand(s string, value func(name string) (string, bool)) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i += expandAt(&b, s[i:], value)
	}
	return b.String()
}

// expandAt writes what the reference at the start of s stands for and returns how many bytes after the $ it took.
func expandAt(b *strings.Builder, s string, value func(string) (string, bool)) int {
	switch s[1] {
	case '$':
		b.WriteByte('$')
		return 1
	case '(':
		end := strings.IndexByte(s, ')')
		if end < 0 {
			b.WriteString("$(")
			return 1
		}
		if v, ok := value(s[2:end]); ok {
			b.WriteString(v)
		} else {
			b.WriteString(s[:end+1])
		}
		return end
	}
	b.WriteString(s[:2])
	return 1
}

// All expands each of list.
func All(list []string, value func(name string) (string, bool)) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Expand(s, value)
	}
	return out
}
