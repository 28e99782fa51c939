package report

import (
	"io"
)

// Where a row's parts stand in a chart of bars.
const (
	labelEnd  = 290.0 // right end of names
	barStart  = 300.0
	barEnd    = 700.0 // the longest bar's right end
	ratioEnd  = width - 20.0
	rowHeight = 38.0
	barHeight = 12.0
)

// Bars draws each row as a pair of bars, the longer of which fills the space, with their values and the ratio. Rows
// that only one side has are drawn too; rows without any value are left out.
func Bars(w io.Writer, title string, rows []Row) error {
	c := &canvas{}
	c.text(20, 26, left, "text title", title)
	c.legend(26)
	y := 44.0
	for _, g := range groups(measured(rows)) {
		if g.name != "" {
			y += 16
			c.text(20, y, left, "text group", g.name)
			y += 8
		}
		for _, r := range g.rows {
			c.row(y, r)
			y += rowHeight
		}
	}
	return c.write(w, y+10, title)
}

func measured(rows []Row) (out []Row) {
	for _, r := range rows {
		if r.Ours, r.Theirs = r.Ours.finite(), r.Theirs.finite(); r.Ours != nil || r.Theirs != nil {
			out = append(out, r)
		}
	}
	return out
}

func (c *canvas) row(y float64, r Row) {
	label := lines(r.Name, 42, 2)
	top := y + 20 - 7.5*float64(len(label)-1)
	for i, l := range label {
		c.text(labelEnd, top+15*float64(i), right, "text", l)
	}
	var most float64
	for _, v := range []*Value{r.Ours, r.Theirs} {
		if v != nil {
			most = max(most, v.Value)
		}
	}
	for i, v := range []*Value{r.Ours, r.Theirs} {
		if v == nil {
			continue
		}
		length := 1.0
		if most > 0 && v.Value > 0 {
			length = max(1, v.Value/most*(barEnd-barStart))
		}
		at := y + 3 + float64(i)*(barHeight+2)
		c.bar(barStart, at, length, barHeight, sideClass[i], r.Name+": "+r.Unit.Say(v.Value))
		c.text(barStart+length+6, at+barHeight-2, left, "soft", r.Unit.Say(v.Value))
	}
	if ratio := r.Ratio(); ratio != 0 {
		class := "good ratio"
		if ratio < 1 {
			class = "bad ratio"
		}
		c.text(ratioEnd, y+21, right, class, times(ratio))
	}
}

var sideClass = [2]string{"ours", "theirs"}
