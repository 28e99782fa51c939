package crilog

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var someTime = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// framed runs chunks through a framer as Log does and returns the lines without their time.
func framed(chunks []string) []string {
	f := newFramer(someTime, "stdout")
	var rest []byte
	var out []string
	emit := func(pieces ...[]byte) {
		line := string(bytes.Join(pieces, nil))
		line = strings.TrimPrefix(line, "2026-01-02T03:04:05.000000006Z stdout ")
		out = append(out, strings.TrimSuffix(line, "\n"))
	}
	for i, c := range chunks {
		a, b := f.frame(rest, []byte(c), i == len(chunks)-1, emit)
		rest = append(append([]byte{}, a...), b...)
	}
	return out
}

func TestFrame(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for _, c := range []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"nothing", []string{""}, nil},
		{"one line", []string{"a\n"}, []string{"F a"}},
		{"empty lines", []string{"\n\n"}, []string{"F ", "F "}},
		{"a line in pieces", []string{"a", "b", "c\nd", "\n"}, []string{"F abc", "F d"}},
		{"unfinished", []string{"a\nb"}, []string{"F a", "P b"}},
		{"exactly full", []string{long, "\n"}, []string{"F " + long}},
		{"one more", []string{long + "y\n"}, []string{"P " + long, "F y"}},
		{"full and no end", []string{long}, []string{"P " + long}},
		{"twice full in pieces", []string{long[:100], long + long[100:], "z\n"}, []string{"P " + long, "P " + long, "F z"}},
	} {
		got := framed(c.chunks)
		if strings.Join(got, "|") != strings.Join(c.want, "|") || len(got) != len(c.want) {
			t.Errorf("%s: %d lines %.80q, want %d %.80q", c.name, len(got), got, len(c.want), c.want)
		}
	}
}

// FuzzFrame: how a stream is cut into reads does not change its log, and the log gives the stream back.
func FuzzFrame(f *testing.F) {
	f.Add("hello\nworld", uint16(3), uint8(1))
	f.Add(strings.Repeat("q", 40000)+"\n\n", uint16(16384), uint8(1))
	f.Add("\n", uint16(1), uint8(200))
	f.Fuzz(func(t *testing.T, text string, cut uint16, times uint8) {
		text = strings.Repeat(text, int(times)%8+1)
		at := min(int(cut), len(text))
		whole, cutUp := framed([]string{text}), framed([]string{text[:at], text[at:], ""})
		if strings.Join(whole, "\x00") != strings.Join(cutUp, "\x00") {
			t.Fatalf("cut at %d: %.200q, whole: %.200q", at, cutUp, whole)
		}
		var back strings.Builder
		for _, l := range whole {
			back.WriteString(l[2:])
			if l[0] == 'F' {
				back.WriteByte('\n')
			}
		}
		if back.String() != text {
			t.Fatalf("%.200q came back as %.200q", text, back.String())
		}
	})
}
