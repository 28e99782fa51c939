package apiserver

import (
	"net/http"
	"slices"
	"unicode/utf8"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// warnings are what a client is told beside the answer; each text once.
type warnings struct{ texts []string }

func (w *warnings) add(texts ...string) {
	for _, t := range texts {
		if t != "" && !slices.Contains(w.texts, t) {
			w.texts = append(w.texts, t)
		}
	}
}

// Limits of all warnings of a response together, and of one where all together are too long.
const (
	maxWarnings = 4 << 10
	maxWarning  = 256
)

// write puts the warnings into headers, shortened where they are too long for many clients.
func (w *warnings) write(h http.Header) {
	total := 0
	for _, t := range w.texts {
		total += len(t)
	}
	left := maxWarnings
	for _, t := range w.texts {
		if total > maxWarnings && len(t) > maxWarning {
			t = cut(t, maxWarning)
		}
		header, err := utilnet.NewWarningHeader(299, "-", t)
		if err != nil || len(header) > left {
			continue
		}
		left -= len(header)
		h.Add("Warning", header)
	}
}

// cut shortens t to at most n bytes at a rune's border.
func cut(t string, n int) string {
	for n > 0 && !utf8.RuneStart(t[n]) {
		n--
	}
	return t[:n]
}
