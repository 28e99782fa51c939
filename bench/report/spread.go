package report

import (
	"io"
	"math"
)

const (
	laneHeight = 14.0
	spreadTop  = 46.0
)

// Spread draws the samples of each row that has them on both sides as strokes on one logarithmic axis, the middle one
// and the 99th of a hundred marked. It returns false, having written nothing, where no row has.
func Spread(w io.Writer, title string, unit Unit, rows []Row) (bool, error) {
	var with []Row
	for _, r := range rows {
		if r.Unit == unit && r.Ours != nil && r.Theirs != nil && len(r.Ours.Samples) > 2 && len(r.Theirs.Samples) > 2 {
			with = append(with, r)
		}
	}
	ax, ok := scale(with)
	if !ok {
		return false, nil
	}
	c := &canvas{}
	c.text(20, 26, left, "text title", title)
	c.legend(26)
	bottom := spreadTop + float64(len(with))*rowHeight
	for _, v := range ax.marks() {
		x := ax.x(v)
		c.line(x, spreadTop, x, bottom, "line", "")
		c.text(x, bottom+16, middle, "soft", unit.Say(v))
	}
	for i, r := range with {
		c.lanes(spreadTop+float64(i)*rowHeight, r, ax)
	}
	return true, c.write(w, bottom+30, title)
}

// lanes draws one row: its name, ours above upstream's.
func (c *canvas) lanes(y float64, r Row, ax axis) {
	name := r.Name
	if r.Group != "" {
		name = r.Group + ": " + name
	}
	label := lines(name, 42, 2)
	top := y + 20 - 7.5*float64(len(label)-1)
	for i, l := range label {
		c.text(labelEnd, top+15*float64(i), right, "text", l)
	}
	for i, v := range []*Value{r.Ours, r.Theirs} {
		at0 := y + 3 + float64(i)*(laneHeight+2)
		xs := make([]float64, len(v.Samples))
		for j, s := range v.Samples {
			xs[j] = ax.x(s)
		}
		c.ticks(xs, at0+2, laneHeight-4, sideClass[i])
		for _, q := range []struct {
			name string
			q    float64
			w    float64
		}{{"p50", 0.5, 5}, {"p99", 0.99, 2}} {
			s := at(q.q, v.Samples)
			c.bar(ax.x(s)-q.w/2, at0, q.w, laneHeight, sideClass[i], r.Name+", "+q.name+": "+r.Unit.Say(s))
		}
	}
}

// An axis is logarithmic from least to most.
type axis struct{ least, most float64 }

// scale spans all samples; false where there is nothing to draw.
func scale(rows []Row) (axis, bool) {
	a := axis{math.Inf(1), 0}
	for _, r := range rows {
		for _, v := range []*Value{r.Ours, r.Theirs} {
			for _, s := range v.Samples {
				if s > 0 {
					a.least, a.most = min(a.least, s), max(a.most, s)
				}
			}
		}
	}
	if a.most == 0 || math.IsInf(a.most, 0) {
		return a, false
	}
	a.least, a.most = a.least*0.9, a.most*1.1
	return a, true
}

// x is where a value stands; what is not positive stands at the left end.
func (a axis) x(v float64) float64 {
	if v <= a.least {
		return barStart
	}
	return barStart + math.Log(v/a.least)/math.Log(a.most/a.least)*(ratioEnd-barStart)
}

// marks are 1, 2 and 5 of each power of ten within; only the powers where that would be many.
func (a axis) marks() (out []float64) {
	steps := []float64{1, 2, 5}
	if a.most/a.least > 3000 {
		steps = steps[:1]
	}
	for e := math.Floor(math.Log10(a.least)); e <= math.Ceil(math.Log10(a.most)); e++ {
		for _, s := range steps {
			if v := s * math.Pow(10, e); v >= a.least && v <= a.most {
				out = append(out, v)
			}
		}
	}
	return out
}
