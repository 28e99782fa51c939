package transcode

import (
	"encoding/json"
	"strings"
	"testing"
)

// plainSets are field sets and what is nearly one.
var plainSets = []string{`{}`, `{"f:a":{}}`, `{"f:a":{".":{},"f:b":{}},"f:c":{}}`, `{"k:{}":{}}`, `{"f:ä":{}}`, `{"":{}}`, `{"a":{"b":{"c":{}}}}`,
	``, `{`, `}`, `{}}`, `{},{}`, `{"a"}`, `{"a":}`, `{"a":{}`, `{"a":{},}`, `{,"a":{}}`, `{"a":{}"b":{}}`, `{"a":1}`, `{"a":"b"}`, `[{}]`, `{"a":[]}`, `{"a" :{}}`, `{"a":{}} `,
	`{"a\"b":{}}`, `{"a\qb":{}}`, `{"a\u0041":{}}`, `{"a\`, "{\"a\nb\":{}}", `{"a<b":{}}`, "{\"a\u2028\":{}}", `{"a":{},"a":{}}`, `{{}}`, `{"a":{{}}}`, `{"a":{}}}`, `{"a`, `{"a":`, `{"k:{\"name\":\"c\"}":{".":{}}}`, `{"a":{},,"b":{}}`,
	strings.Repeat(`{"a":`, deepest-1) + `{}` + strings.Repeat("}", deepest-1), strings.Repeat(`{"a":`, deepest) + `{}` + strings.Repeat("}", deepest)}

// TestPlainFields: what is plain is JSON that encoding/json embeds as it is.
func TestPlainFields(t *testing.T) {
	plain := 0
	for _, s := range plainSets {
		if checkPlain(t, s) {
			plain++
		}
	}
	if plain != 11 {
		t.Errorf("%d are plain", plain)
	}
}

func checkPlain(t *testing.T, s string) bool {
	if !plainFields([]byte(s)) {
		return false
	}
	b, err := json.Marshal(json.RawMessage(s))
	if err != nil || string(b) != s {
		t.Errorf("%q is called plain, and becomes %q: %v", s, b, err)
	}
	return true
}

func FuzzPlainFields(f *testing.F) {
	for _, s := range plainSets {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkPlain(t, s) })
}
