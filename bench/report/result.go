package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"
)

// A Result is what one bench found.
type Result struct {
	Bench    string // name of its command: "pod"
	Title    string // heading: "Pods"
	About    string // one paragraph: what is measured, how, on what
	Rows     []Row
	Notes    []string `json:",omitempty"` // what a reader must know beside the figures
	Began    time.Time
	Took     float64 // seconds
	Machine  Machine // before
	LoadThen string  // after: load of 1, 5 and 15 minutes
	Failure  string  `json:",omitempty"` // why it did not come to its end; Rows has what it had found until then
	Text     string  `json:",omitempty"` // what a command printed that gave no rows
}

// A Row is one figure of both sides.
type Row struct {
	Group  string `json:",omitempty"` // rows that belong together: "LIST of 10,000 pods, protobuf"
	Name   string // "create to Ready, p50"
	Unit   Unit
	More   bool   `json:",omitempty"` // more is better: throughput
	Key    bool   `json:",omitempty"` // among those at the head of the report
	Ours   *Value `json:",omitempty"` // nil: not measured
	Theirs *Value `json:",omitempty"` // nil: there is no such thing upstream
	Reach  Reach
}

// A Value is a figure and, where it is a statistic, what it was taken from.
type Value struct {
	Value   float64
	Samples []float64 `json:",omitempty"` // in order of size; thinned
}

// Reach is what a figure was promised to reach; zero: nothing.
type Reach struct {
	Figure float64 `json:",omitempty"` // in the row's unit, at most (at least where more is better)
	Ratio  float64 `json:",omitempty"` // times better than upstream, at least
}

// Ratio is how many times better ours is than theirs; 0 where that has no meaning.
func (r Row) Ratio() float64 {
	if r.Ours == nil || r.Theirs == nil || r.Ours.Value <= 0 || r.Theirs.Value <= 0 {
		return 0
	}
	if r.More {
		return r.Ours.Value / r.Theirs.Value
	}
	return r.Theirs.Value / r.Ours.Value
}

// Met says whether what was promised is reached; promised is false where nothing was, or nothing was measured.
func (r Row) Met() (met, promised bool) {
	met = true
	if r.Reach.Figure != 0 && r.Ours != nil {
		promised = true
		if r.More {
			met = r.Ours.Value >= r.Reach.Figure
		} else {
			met = r.Ours.Value <= r.Reach.Figure
		}
	}
	if ratio := r.Ratio(); r.Reach.Ratio != 0 && ratio != 0 {
		promised = true
		met = met && ratio >= r.Reach.Ratio
	}
	return met && promised, promised
}

// Add appends a row.
func (r *Result) Add(row Row) { r.Rows = append(r.Rows, row) }

// Note appends a sentence below the table.
func (r *Result) Note(format string, a ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, a...)) }

// Read returns the result that a command wrote into a file.
func Read(file string) (*Result, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &r, nil
}

// Write writes the result as JSON, one row a line.
func (r *Result) Write(file string) error {
	c := *r
	c.Rows = nil
	for _, row := range r.Rows {
		row.Ours, row.Theirs = row.Ours.finite(), row.Theirs.finite()
		c.Rows = append(c.Rows, row)
	}
	b, err := json.MarshalIndent(&c, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(compact(b), '\n'), 0o644)
}

// finite is nil for what JSON cannot say: nothing was measured.
func (v *Value) finite() *Value {
	if v == nil || math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
		return nil
	}
	return v
}
