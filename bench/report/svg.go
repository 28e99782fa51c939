package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// width of every chart, in pixels.
const width = 860

// style makes a chart readable on light and on dark: it brings its own ground and follows the reader's preference.
const style = `<style>
.ground{fill:#ffffff}.text{fill:#1f2328}.soft{fill:#59636e}.ours{fill:#0969da;stroke:#0969da}.theirs{fill:#8c959f;stroke:#8c959f}
.line{stroke:#d1d9e0}.good{fill:#116329}.bad{fill:#a40e26}.aim{stroke:#bc4c00}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117}.text{fill:#f0f6fc}.soft{fill:#9198a1}.ours{fill:#4493f8;stroke:#4493f8}
.theirs{fill:#6e7681;stroke:#6e7681}.line{stroke:#3d444d}.good{fill:#56d364}.bad{fill:#ff7b72}.aim{stroke:#f0883e}}
text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;font-size:12px;stroke:none}
.title{font-size:15px;font-weight:600}.group{font-weight:600}.ratio{font-size:14px;font-weight:600}
</style>`

// A canvas collects the shapes of one chart; where text stands is the left, middle or right end of its base line.
type canvas struct{ b bytes.Buffer }

// anchors of text.
const (
	left   = "start"
	middle = "middle"
	right  = "end"
)

func (c *canvas) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(&c.b, `<text x="%s" y="%s" text-anchor="%s" class="%s">%s</text>`+"\n", px(x), px(y), anchor, class, escape(s))
}

// bar is a rectangle with a title that appears under the pointer.
func (c *canvas) bar(x, y, w, h float64, class, title string) {
	fmt.Fprintf(&c.b, `<rect x="%s" y="%s" width="%s" height="%s" rx="2" class="%s" stroke="none"><title>%s</title></rect>`+"\n",
		px(x), px(y), px(w), px(h), class, escape(title))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class, more string) {
	fmt.Fprintf(&c.b, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"%s/>`+"\n", px(x1), px(y1), px(x2), px(y2), class, more)
}

// ticks is one short vertical stroke at each x.
func (c *canvas) ticks(xs []float64, y, h float64, class string) {
	var d strings.Builder
	for _, x := range xs {
		fmt.Fprintf(&d, "M%s %sv%s", px(x), px(y), px(h))
	}
	fmt.Fprintf(&c.b, `<path d="%s" class="%s" fill="none" stroke-width="1.5" stroke-opacity="0.45"/>`+"\n", d.String(), class)
}

// legend names the two sides at the right of the title.
func (c *canvas) legend(y float64) {
	c.bar(width-170, y-9, 10, 10, "ours", "ours")
	c.text(width-155, y, left, "soft", "ours")
	c.bar(width-105, y-9, 10, 10, "theirs", "upstream")
	c.text(width-90, y, left, "soft", "upstream")
}

// write puts the frame around the shapes.
func (c *canvas) write(w io.Writer, height float64, label string) error {
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%s" viewBox="0 0 %d %s" role="img" aria-label="%s">`+"\n%s\n"+
		`<rect width="100%%" height="100%%" class="ground"/>`+"\n%s</svg>\n", width, px(height), width, px(height), escape(label), style, c.b.String())
	return err
}

// px writes a coordinate with a tenth of a pixel.
func px(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }

func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}

// lines breaks s at blanks into at most n lines of about the given number of letters; what is left over ends in "...".
func lines(s string, letters, n int) []string {
	var out []string
	for _, word := range strings.Fields(s) {
		last := len(out) - 1
		switch {
		case last >= 0 && len([]rune(out[last]))+1+len([]rune(word)) <= letters:
			out[last] += " " + word
		case len(out) == n:
			out[last] += " ..."
			return out
		default:
			out = append(out, word)
		}
	}
	return out
}
