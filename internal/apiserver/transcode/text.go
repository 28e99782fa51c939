package transcode

import (
	"encoding/json"
	"unicode/utf8"
)

// plain are the bytes that stand in a JSON string as they are, as encoding/json writes it for browsers.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

// appendText renders a string.
func appendText(dst, s []byte) ([]byte, error) {
	for _, c := range s {
		if !plain[c] {
			b, err := json.Marshal(string(s))
			return append(dst, b...), err
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"'), nil
}
