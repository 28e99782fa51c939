package report

import (
	"fmt"
	"io"
	"strings"
)

// Table writes rows, the first of which is the head, as a Markdown table.
func Table(w io.Writer, rows [][]string) {
	for i, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(r)))
		}
	}
}

// Markdown writes the result as a section of a report, without charts.
func (r *Result) Markdown(w io.Writer) {
	fmt.Fprintf(w, "## %s\n\n", r.Title)
	if r.About != "" {
		fmt.Fprintf(w, "%s\n\n", r.About)
	}
	if r.Failure != "" {
		fmt.Fprintf(w, "**Did not come to its end:** %s\n\n", oneLine(r.Failure))
	}
	for i, g := range groups(r.Rows) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		head := "figure"
		if g.name != "" {
			head = g.name
		}
		table := [][]string{{head, "ours", "upstream", "ratio", "to reach"}}
		for _, row := range g.rows {
			table = append(table, row.cells(row.Name))
		}
		Table(w, table)
	}
	if r.Text != "" {
		fmt.Fprintln(w, strings.TrimSpace(r.Text))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "\n%s\n", n)
	}
	fmt.Fprintf(w, "\n%s, %.0f s; load %s before, %s after.\n", r.Began.UTC().Format("2006-01-02 15:04 UTC"), r.Took, r.Machine.Load, r.LoadThen)
}

// cells are a row's, first of all its name.
func (r Row) cells(name string) []string {
	value := func(v *Value) string {
		if v = v.finite(); v == nil {
			return ""
		}
		return r.Unit.Say(v.Value)
	}
	reach := r.reach()
	if met, promised := r.Met(); promised && met {
		reach += " ✓"
	} else if promised {
		reach += " ✗"
	}
	return []string{name, value(r.Ours), value(r.Theirs), times(r.Ratio()), reach}
}

// group is a run of rows with the same group.
type group struct {
	name string
	rows []Row
}

func groups(rows []Row) (out []group) {
	for _, r := range rows {
		if len(out) == 0 || out[len(out)-1].name != r.Group {
			out = append(out, group{name: r.Group})
		}
		g := &out[len(out)-1]
		g.rows = append(g.rows, r)
	}
	return out
}

// oneLine keeps an error's text from ending the table or paragraph that it stands in.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > 600 {
		s = string(runes[:600]) + " ..."
	}
	return strings.ReplaceAll(s, "|", "\\|")
}
