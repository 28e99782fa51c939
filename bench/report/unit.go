package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Unit is what a row's values count.
type Unit string

// The units.
const (
	Millis    Unit = "ms"
	Seconds   Unit = "s"
	Megabytes Unit = "MB"
	Percent   Unit = "%"  // of a core
	PerSecond Unit = "/s" // pods, requests
	Count     Unit = ""
)

// Say writes a value with its unit, with three digits and no more.
func (u Unit) Say(v float64) string {
	n := digits(v)
	switch u {
	case Count:
		return n
	case PerSecond:
		return n + "/s"
	}
	return n + " " + string(u)
}

func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a >= 100:
		return thousands(int64(math.Round(v)))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// times writes a ratio.
func times(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	if ratio >= 10 {
		return fmt.Sprintf("%.0fx", ratio)
	}
	return fmt.Sprintf("%.1fx", ratio)
}

// reach writes a row's promise.
func (r Row) reach() string {
	var out []string
	if r.Reach.Figure != 0 {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%v %s", r.Reach.Figure, r.Unit)))
	}
	if r.Reach.Ratio != 0 {
		out = append(out, fmt.Sprintf("%vx", r.Reach.Ratio))
	}
	return strings.Join(out, ", ")
}
