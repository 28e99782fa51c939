package patch

import (
	kjson "sigs.k8s.io/json"
)

// longestKey and longestNumber are what YAML takes in one piece, and what it reads as JSON does.
const longestKey, longestNumber = 128, 15

// PlainJSON reads a body that is said to be YAML but is JSON, as clients that are programs send it, at a tenth of what
// YAML costs. It takes only what YAML reads alike: without control characters, numbers other than whole ones, unusual
// escapes, keys that are long, double or "<<". For all else it says false.
func PlainJSON(body []byte) (map[string]any, bool) {
	if !isPlain(body) {
		return nil, false
	}
	var doc map[string]any
	double, err := kjson.UnmarshalStrict(body, &doc, kjson.DisallowDuplicateFields)
	if err != nil || len(double) > 0 || doc == nil {
		return nil, false
	}
	return doc, true
}

func isPlain(body []byte) bool {
	for i := 0; i < len(body); {
		switch c := body[i]; {
		case c == '"':
			n := plainString(body[i:])
			if n == 0 {
				return false
			}
			i += n
		case c == '-', '0' <= c && c <= '9':
			n := 1
			for i+n < len(body) && '0' <= body[i+n] && body[i+n] <= '9' {
				n++
			}
			if n > longestNumber || c == '-' && n > 1 && body[i+1] == '0' || i+n < len(body) && !ends(body[i+n]) {
				return false
			}
			i += n
		case c < ' ' && c != '\n', c > '~', c == '\'', c == '#', c == '&', c == '*', c == '!':
			return false
		default:
			i++
		}
	}
	return len(body) > 0 && body[0] == '{'
}

// ends says whether a number may end before c.
func ends(c byte) bool { return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' }

// plainString is the length of the string, quotes included, that s begins with; 0 where it is not plain.
func plainString(s []byte) int {
	n := 1
	for {
		if n >= len(s) || s[n] < ' ' || s[n] > '~' {
			return 0
		}
		switch s[n] {
		case '"':
			n++
			if n < len(s) && s[n] == ':' {
				if n > longestKey || string(s[:n]) == `"<<"` {
					return 0
				}
				return n
			}
			if rest := s[n:]; len(rest) > 0 && !ends(rest[0]) || keyed(rest) {
				return 0
			}
			return n
		case '\\':
			size := plainEscape(s[n:])
			if size == 0 {
				return 0
			}
			n += size
		default:
			n++
		}
	}
}

// keyed says whether a colon follows after white space.
func keyed(s []byte) bool {
	for _, c := range s {
		switch c {
		case ' ', '\n':
		default:
			return c == ':'
		}
	}
	return false
}

// plainEscape is the length of the escape that s begins with: that of a visible character, or of a new line; 0 for others.
func plainEscape(s []byte) int {
	switch {
	case len(s) < 2:
		return 0
	case s[1] == '"', s[1] == '\\', s[1] == 'n':
		return 2
	case len(s) >= 6 && s[1] == 'u' && s[2] == '0' && s[3] == '0' && '2' <= s[4] && s[4] <= '6' && isHex(s[5]):
		return 6
	}
	return 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
