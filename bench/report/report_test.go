package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the tests make into testdata")

// sample is a result with everything that a report shows.
func sample() *Result {
	r := &Result{Bench: "pod", Title: "Pods", About: "One after another in turns.", Began: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Took: 61.4,
		Machine:  Machine{Kernel: "Linux 6.18 x86_64", CPU: "a <processor> & more", Cores: 2, Memory: 8e9, Load: "0.10 0.20 0.30", Commit: "0123456789", Go: "go1.26"},
		LoadThen: "1.00 0.50 0.40", Failure: "upstream: pod one-7:\nnothing after 1m0s | Pending"}
	one, other := []float64{80, 82, 88, 90, 127}, []float64{500, 560, 576, 600, 620.04}
	r.Add(Row{Name: "create to Ready, p50", Unit: Millis, Key: true, Ours: Median(one), Theirs: Median(other), Reach: Reach{Figure: 100, Ratio: 6}})
	r.Add(Row{Name: "create to Ready, p99", Unit: Millis, Ours: Quantile(0.99, one).Bare(), Theirs: Quantile(0.99, other).Bare()})
	r.Add(Row{Group: "20 at once", Name: "pods a second", Unit: PerSecond, More: true, Ours: Just(15.25), Theirs: Just(4.8), Reach: Reach{Figure: 20}})
	r.Add(Row{Group: "20 at once", Name: "memory & more of a name that is <far> too long for one line of a chart, and for two of them", Unit: Megabytes, Ours: Just(1130), Theirs: Just(881)})
	r.Add(Row{Group: "20 at once", Name: "ours alone", Unit: Count, Ours: Just(12345678)})
	r.Add(Row{Group: "20 at once", Name: "not measured", Unit: Percent, Ours: Just(math.NaN())})
	r.Note("A note with %d words.", 5)
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs (go test ./bench/report -update writes it again):\n%s", path, got)
	}
}

// TestBook compares a report and its charts with the ones kept.
func TestBook(t *testing.T) {
	var md bytes.Buffer
	err := Book(&md, []*Result{sample()}, func(name string, how func(io.Writer) (bool, error)) (bool, error) {
		var svg bytes.Buffer
		drawn, err := how(&svg)
		if err == nil && drawn {
			wellFormed(t, svg.Bytes())
			golden(t, name, svg.Bytes())
		}
		return drawn, err
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.md", md.Bytes())
}

func wellFormed(t *testing.T, doc []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(doc))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
	}
}

// TestFiles writes a result, reads it and renders the folder twice: the second time without what made a chart.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	if err := errors.Join(Save(dir, r), Render(dir, []string{"pod", "unknown"})); err != nil {
		t.Fatal(err)
	}
	back, err := Read(filepath.Join(dir, "pod.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Rows) != len(r.Rows) || back.Rows[0].Ratio() != r.Rows[0].Ratio() || len(back.Rows[0].Theirs.Samples) != 5 || back.Rows[5].Ours != nil {
		t.Errorf("read back: %+v", back)
	}
	spread := filepath.Join(dir, "pod-spread-ms.svg")
	if _, err := os.Stat(spread); err != nil {
		t.Fatal(err)
	}
	r.Rows = r.Rows[1:2]
	if err := errors.Join(Save(dir, r), Render(dir, []string{"pod"})); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(spread); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a chart without samples is left: %v", err)
	}
}

func TestMet(t *testing.T) {
	for name, c := range map[string]struct {
		row           Row
		met, promised bool
	}{
		"nothing promised":      {Row{Ours: Just(1), Theirs: Just(2)}, false, false},
		"figure":                {Row{Ours: Just(1), Reach: Reach{Figure: 1}}, true, true},
		"figure missed":         {Row{Ours: Just(1.1), Reach: Reach{Figure: 1}}, false, true},
		"more is better":        {Row{Ours: Just(1.1), More: true, Reach: Reach{Figure: 1}}, true, true},
		"ratio":                 {Row{Ours: Just(1), Theirs: Just(4), Reach: Reach{Ratio: 4}}, true, true},
		"ratio missed":          {Row{Ours: Just(1), Theirs: Just(4), Reach: Reach{Figure: 5, Ratio: 5}}, false, true},
		"ratio of more":         {Row{Ours: Just(8), Theirs: Just(4), More: true, Reach: Reach{Ratio: 2}}, true, true},
		"ratio without theirs":  {Row{Ours: Just(1), Reach: Reach{Ratio: 4}}, false, false},
		"figure without theirs": {Row{Ours: Just(1), Reach: Reach{Figure: 2, Ratio: 4}}, true, true},
	} {
		if met, promised := c.row.Met(); met != c.met || promised != c.promised {
			t.Errorf("%s: %v %v", name, met, promised)
		}
	}
}

func TestSay(t *testing.T) {
	for want, got := range map[string]string{
		"0 ms": Millis.Say(0), "0.97 ms": Millis.Say(0.9712), "88.0 ms": Millis.Say(88), "1,130 MB": Megabytes.Say(1130.4), "0.0012 s": Seconds.Say(0.00123),
		"1,234,567": Count.Say(1234567), "-120 ms": Millis.Say(-120), "310/s": PerSecond.Say(310), "122x": times(122.4), "3.9x": times(3.94),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var many []float64
	for i := range 10000 {
		many = append(many, float64(9999-i))
	}
	v := Quantile(0.99, many)
	if v.Value != 9900 || len(v.Samples) != maxSamples || v.Samples[0] != 0 || v.Samples[maxSamples-1] != 9999 {
		t.Errorf("%v, %d samples from %v to %v", v.Value, len(v.Samples), v.Samples[0], v.Samples[len(v.Samples)-1])
	}
	if Median(nil) != nil || Median(nil).Bare() != nil {
		t.Error("a median of nothing")
	}
	if one := Median([]float64{3.14159}); one.Value != 3.142 || len(one.Samples) != 1 {
		t.Errorf("%+v", one)
	}
}

// TestCharts draws what leaves little to draw.
func TestCharts(t *testing.T) {
	for name, rows := range map[string][]Row{
		"none":      nil,
		"zero":      {{Name: "zero", Unit: Millis, Ours: Just(0), Theirs: Just(0)}},
		"not a one": {{Name: "nan", Unit: Millis, Ours: Just(math.Inf(1)), Theirs: nil}},
		"all equal": {{Name: "equal", Unit: Millis, Ours: Median([]float64{1, 1, 1}), Theirs: Median([]float64{1, 1, 1})}},
		"zeros":     {{Name: "zeros", Unit: Millis, Ours: Median([]float64{0, 0, 0}), Theirs: Median([]float64{0, 1, 5000})}},
	} {
		var bars, spread bytes.Buffer
		_, err := Spread(&spread, name, Millis, rows)
		if err := errors.Join(err, Bars(&bars, name, rows)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wellFormed(t, bars.Bytes())
		wellFormed(t, spread.Bytes())
		if all := bars.String() + spread.String(); strings.Contains(all, "NaN") || strings.Contains(all, "Inf") {
			t.Errorf("%s: %s", name, all)
		}
	}
}
