package cli

import (
	"bytes"
	"strings"
	"testing"

	"minato.dev/minato/internal/image"
)

func TestBarLine(t *testing.T) {
	for _, c := range []struct {
		p    image.Progress
		want string
	}{
		{image.Progress{Done: 0, Total: 2e6}, "0123456789ab [                     ]        0.0 MB / 2.0 MB"},
		{image.Progress{Done: 1e6, Total: 2e6}, "0123456789ab [==========           ]        1.0 MB / 2.0 MB"},
		{image.Progress{Done: 2e6, Total: 2e6}, "0123456789ab [=====================]            2.0 MB done"},
		{image.Progress{Done: 3e6, Total: 2e6}, "0123456789ab [=====================]            2.0 MB done"},
		{image.Progress{Done: 2e6, Total: 2e6, Cached: true}, "0123456789ab [=====================]        is here already"},
	} {
		if got := barLine("0123456789ab", c.p, 60); got != c.want {
			t.Errorf("%+v:\n%q, want\n%q", c.p, got, c.want)
		}
	}
}

func TestBarsOnlyOnATerminal(t *testing.T) {
	var out bytes.Buffer
	b := newBars(&out)
	b.update(image.Progress{Digest: "sha256:" + strings.Repeat("1", 64), Done: 1, Total: 2})
	b.end()
	if out.Len() != 0 {
		t.Errorf("wrote %q to what is no terminal", out.String())
	}
	b.fd = 0
	for _, d := range []string{"1", "2"} {
		b.update(image.Progress{Digest: "sha256:" + strings.Repeat(d, 64), Done: 1, Total: 2})
	}
	if lines := b.lines(79); len(lines) != 3 || !strings.HasPrefix(lines[2], "together") {
		t.Errorf("%q", lines)
	}
}
