package report

import (
	"bytes"
	"math"
	"regexp"
	"slices"
	"time"
)

// maxSamples are kept of each value: enough for a chart of the distribution.
const maxSamples = 200

// Just is a value that is no statistic.
func Just(v float64) *Value { return &Value{Value: v} }

// Median is the middle of samples, kept with them; nil of none.
func Median(samples []float64) *Value { return Quantile(0.5, samples) }

// Quantile is the value below which the part q of samples lies (the next sample up), kept with them; nil of none.
func Quantile(q float64, samples []float64) *Value {
	s := slices.Sorted(slices.Values(samples))
	if len(s) == 0 {
		return nil
	}
	return &Value{Value: round(at(q, s)), Samples: thin(s)}
}

// Bare is the value without its samples, for a second statistic of the same ones.
func (v *Value) Bare() *Value {
	if v == nil {
		return nil
	}
	return &Value{Value: v.Value}
}

// at is a quantile of sorted samples.
func at(q float64, sorted []float64) float64 {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// thin keeps evenly many of sorted samples, the least and the greatest among them.
func thin(sorted []float64) []float64 {
	n := min(len(sorted), maxSamples)
	out := make([]float64, n)
	for i := range n {
		out[i] = round(sorted[i*(len(sorted)-1)/max(1, n-1)])
	}
	return out
}

// round keeps four digits: more is noise.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	p := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if math.IsInf(p, 0) || p == 0 {
		return v
	}
	return math.Round(v*p) / p
}

// Ms are times in milliseconds.
func Ms(times ...time.Duration) []float64 { return in(time.Millisecond, times) }

// S are times in seconds.
func S(times ...time.Duration) []float64 { return in(time.Second, times) }

func in(unit time.Duration, times []time.Duration) []float64 {
	out := make([]float64, len(times))
	for i, t := range times {
		out[i] = float64(t) / float64(unit)
	}
	return out
}

// MB is a number of bytes in megabytes.
func MB(bytes int64) float64 { return float64(bytes) / 1e6 }

var numbers = regexp.MustCompile(`\[\s*(-?[0-9][^\[\]{}"]*?)\s*\]`)

// compact puts lists of numbers on one line each.
func compact(json []byte) []byte {
	return numbers.ReplaceAllFunc(json, func(list []byte) []byte { return bytes.Join(bytes.Fields(list), nil) })
}
