package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"minato.dev/minato/internal/image"
)

// bars show how far each blob of a transfer is, one line each, on a terminal; anywhere else they show nothing.
type bars struct {
	w     io.Writer
	fd    int // of the terminal, -1: show nothing
	order []string
	blobs map[string]image.Progress
	drawn int // lines on the screen
	last  time.Time
}

// redraw is how often the lines are drawn again at most.
const redraw = 100 * time.Millisecond

func newBars(w io.Writer) *bars {
	b := &bars{w: w, fd: -1, blobs: map[string]image.Progress{}}
	if f, ok := w.(*os.File); ok && isTerminal(w) {
		b.fd = int(f.Fd())
	}
	return b
}

func (b *bars) update(p image.Progress) {
	if b.fd < 0 {
		return
	}
	if _, known := b.blobs[p.Digest]; !known {
		b.order = append(b.order, p.Digest)
	}
	b.blobs[p.Digest] = p
	if now := time.Now(); now.Sub(b.last) >= redraw {
		b.last = now
		b.draw()
	}
}

// draw writes the lines over those that are there: the last ones, as many as the terminal has room for.
func (b *bars) draw() {
	width, height, err := term.GetSize(b.fd)
	if err != nil || width < 40 || height < 3 {
		width, height = 80, 24
	}
	lines := b.lines(width - 1)
	lines = lines[max(0, len(lines)-height+1):]
	b.clear()
	for _, l := range lines {
		fmt.Fprintln(b.w, l)
	}
	b.drawn = len(lines)
}

// lines are one for each blob, in the order in which they were first told of, and one for their sum.
func (b *bars) lines(width int) (out []string) {
	var all image.Progress
	for _, d := range b.order {
		p := b.blobs[d]
		all.Done, all.Total = all.Done+p.Done, all.Total+p.Total
		out = append(out, barLine(short(d), p, width))
	}
	if len(out) > 1 {
		out = append(out, barLine("together", all, width))
	}
	return out
}

// barLine is one line of at most width letters: name, bar, numbers.
func barLine(name string, p image.Progress, width int) string {
	numbers := fmt.Sprintf("%s / %s", megabytes(p.Done), megabytes(p.Total))
	switch {
	case p.Cached:
		numbers = "is here already"
	case p.Total > 0 && p.Done >= p.Total:
		numbers = megabytes(p.Total) + " done"
	}
	room := width - 12 - 2 - 2 - 1 - 22
	full := room
	if p.Total > 0 {
		full = int(int64(room) * min(p.Done, p.Total) / p.Total)
	}
	return fmt.Sprintf("%-12s [%s%s] %22s", name, strings.Repeat("=", max(0, full)), strings.Repeat(" ", max(0, room-full)), numbers)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// clear takes the lines off the screen.
func (b *bars) clear() {
	if b.drawn > 0 {
		fmt.Fprintf(b.w, "\x1b[%dA\r\x1b[J", b.drawn)
	}
	b.drawn = 0
}

// end leaves the screen as it was before the first line.
func (b *bars) end() {
	if b.fd >= 0 {
		b.clear()
	}
}
