package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A tomlTable is one table of a TOML file in the order of its keys. Values are string, bool, json.Number, []any and *tomlTable.
type tomlTable struct {
	keys   []string
	values map[string]any
}

func newTable() *tomlTable { return &tomlTable{values: map[string]any{}} }

func (t *tomlTable) set(key string, v any) error {
	if _, twice := t.values[key]; twice {
		return fmt.Errorf("%s is given twice", key)
	}
	t.keys, t.values[key] = append(t.keys, key), v
	return nil
}

// sub is the table at the keys below t, made where it is missing.
func (t *tomlTable) sub(keys []string) (*tomlTable, error) {
	for _, k := range keys {
		next, ok := t.values[k].(*tomlTable)
		if !ok {
			next = newTable()
			if err := t.set(k, next); err != nil {
				return nil, err
			}
		}
		t = next
	}
	return t, nil
}

// tomlReader reads TOML without dates, hexadecimal numbers, multi-line strings and arrays of tables, which files about registries
// have no use for.
type tomlReader struct {
	text string
	at   int
}

// parseTOML reads a whole file. Errors begin with the line.
func parseTOML(text string) (*tomlTable, error) {
	r := &tomlReader{text: text}
	root := newTable()
	if err := r.file(root); err != nil {
		return nil, fmt.Errorf("line %d: %w", 1+strings.Count(r.text[:min(r.at, len(r.text))], "\n"), err)
	}
	return root, nil
}

func (r *tomlReader) file(root *tomlTable) error {
	if !utf8.ValidString(r.text) {
		return errors.New("it is not UTF-8")
	}
	for table := root; ; {
		r.blank(true)
		var err error
		switch {
		case r.at == len(r.text):
			return nil
		case r.take("["):
			table, err = r.header(root)
		default:
			err = r.pair(table)
		}
		if err != nil {
			return err
		}
		if r.blank(false); r.at < len(r.text) && r.text[r.at] != '\n' {
			return fmt.Errorf("%q is too much here", r.word())
		}
	}
}

// blank passes over spaces and comments, and over ends of lines where they mean nothing.
func (r *tomlReader) blank(lines bool) {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' && lines:
			r.at++
		case c == '#':
			for r.at < len(r.text) && r.text[r.at] != '\n' {
				r.at++
			}
		default:
			return
		}
	}
}

func (r *tomlReader) take(s string) bool {
	if !strings.HasPrefix(r.text[r.at:], s) {
		return false
	}
	r.at += len(s)
	return true
}

// word is what stands here, to be shown.
func (r *tomlReader) word() string {
	rest, _, _ := strings.Cut(r.text[r.at:], "\n")
	return rest[:min(len(rest), 20)]
}

func (r *tomlReader) header(root *tomlTable) (*tomlTable, error) {
	if r.take("[") {
		return nil, errors.New("[[...]] is not understood: hosts are [host.\"URL\"]")
	}
	keys, err := r.key()
	if err != nil {
		return nil, err
	}
	if !r.take("]") {
		return nil, errors.New("a section must end with ]")
	}
	return root.sub(keys)
}

// key reads a.b."c d".
func (r *tomlReader) key() (keys []string, err error) {
	for {
		r.blank(false)
		from := r.at
		var k string
		if strings.HasPrefix(r.text[r.at:], `"`) || strings.HasPrefix(r.text[r.at:], `'`) {
			if k, err = r.quoted(); err != nil {
				return nil, err
			}
		} else {
			for r.at < len(r.text) && strings.IndexByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r.text[r.at]) >= 0 {
				r.at++
			}
			if k = r.text[from:r.at]; k == "" {
				return nil, fmt.Errorf("%q is no key", r.word())
			}
		}
		keys = append(keys, k)
		if r.blank(false); !r.take(".") {
			return keys, nil
		}
	}
}

func (r *tomlReader) pair(t *tomlTable) error {
	keys, err := r.key()
	if err != nil {
		return err
	}
	last := keys[len(keys)-1]
	if !r.take("=") {
		return fmt.Errorf("%s: = and a value are missing", last)
	}
	v, err := r.value(0)
	if err != nil {
		return fmt.Errorf("%s: %w", last, err)
	}
	if t, err = t.sub(keys[:len(keys)-1]); err != nil {
		return err
	}
	return t.set(last, v)
}

// deepest bounds how deep values may nest.
const deepest = 20

func (r *tomlReader) value(depth int) (any, error) {
	r.blank(false)
	switch {
	case depth > deepest:
		return nil, errors.New("it nests too deep")
	case r.at == len(r.text):
		return nil, errors.New("the value is missing")
	case r.text[r.at] == '"' || r.text[r.at] == '\'':
		return r.quoted()
	case r.take("["):
		return r.list(depth)
	case r.take("{"):
		return r.inline()
	case r.take("true"):
		return true, nil
	case r.take("false"):
		return false, nil
	}
	from := r.at
	for r.at < len(r.text) && strings.IndexByte("+-0123456789._eE", r.text[r.at]) >= 0 {
		r.at++
	}
	if n := json.Number(strings.ReplaceAll(r.text[from:r.at], "_", "")); n != "" {
		if _, err := n.Float64(); err == nil {
			return n, nil
		}
	}
	r.at = from
	return nil, fmt.Errorf("%q is no value that is understood: strings stand in quotes", r.word())
}

func (r *tomlReader) list(depth int) (any, error) {
	out := []any{}
	for {
		r.blank(true)
		if r.take("]") {
			return out, nil
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if r.blank(true); !r.take(",") && !strings.HasPrefix(r.text[r.at:], "]") {
			return nil, errors.New("a list must go on with , or end with ]")
		}
	}
}

func (r *tomlReader) inline() (any, error) {
	t := newTable()
	for {
		r.blank(false)
		if r.take("}") {
			return t, nil
		}
		if err := r.pair(t); err != nil {
			return nil, err
		}
		if r.blank(false); !r.take(",") && !strings.HasPrefix(r.text[r.at:], "}") {
			return nil, errors.New("an inline table must go on with , or end with }")
		}
	}
}

// quoted reads "a\tb", with JSON's escapes, and 'a\tb', without any.
func (r *tomlReader) quoted() (string, error) {
	q := r.text[r.at]
	if strings.HasPrefix(r.text[r.at:], strings.Repeat(string(q), 3)) {
		return "", errors.New("strings of several lines are not understood")
	}
	for end := r.at + 1; end < len(r.text) && r.text[end] != '\n'; end++ {
		switch c := r.text[end]; {
		case c == '\\' && q == '"':
			end++
		case c == q:
			raw := r.text[r.at : end+1]
			r.at = end + 1
			if q == '\'' {
				return raw[1 : len(raw)-1], nil
			}
			var s string
			err := json.Unmarshal([]byte(raw), &s)
			return s, err
		}
	}
	return "", errors.New("the string does not end on its line")
}
