package env

import (
	"fmt"
	"strings"
)

// FileKey returns the value of key in an env file: one NAME='value' a line, # begins a comment line; the value is taken
// between single quotes as it stands, which may span lines, or without quotes up to the line's end.
func FileKey(text, key string) (value string, found bool, err error) {
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		trimmed := strings.TrimSpace(line)
		text = rest
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		name, v, ok := strings.Cut(strings.TrimLeft(line, " \t"), "=")
		if !ok {
			return "", false, fmt.Errorf("line %q of the env file is not NAME='value'", trimmed)
		}
		if quoted, isQuoted := strings.CutPrefix(v, "'"); isQuoted {
			v, text, ok = strings.Cut(quoted+"\n"+rest, "'")
			if !ok {
				return "", false, fmt.Errorf("the quote of %q in the env file is not closed", name)
			}
			_, text, _ = strings.Cut(text, "\n")
		}
		if strings.TrimSpace(name) == key {
			value, found = v, true
		}
	}
	return value, found, nil
}
