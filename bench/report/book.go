package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Files of a report besides what it is made of, one JSON file a bench.
const bookFile = "README.md"

// Save writes what a bench found into dir, in place of what it found before.
func Save(dir string, r *Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return r.Write(filepath.Join(dir, r.Bench+".json"))
}

// Render makes the report of all results in dir again, in the order of names: README.md and the charts. Results of
// benches that are not named are left where they are and not shown.
func Render(dir string, names []string) error {
	var all []*Result
	for _, n := range names {
		r, err := Read(filepath.Join(dir, n+".json"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	var md bytes.Buffer
	if err := Book(&md, all, func(name string, draw func(io.Writer) (bool, error)) (bool, error) { return chart(dir, name, draw) }); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, bookFile), md.Bytes(), 0o644)
}

// chart writes one, or removes an older one where there is nothing to draw.
func chart(dir, name string, draw func(io.Writer) (bool, error)) (bool, error) {
	var b bytes.Buffer
	drawn, err := draw(&b)
	if err != nil {
		return false, err
	}
	path := filepath.Join(dir, name)
	if !drawn {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
		return false, nil
	}
	return true, os.WriteFile(path, b.Bytes(), 0o644)
}

const preface = `# Minato beside upstream

Made by ` + "`make bench`" + ` (see [bench/README.md](../README.md)); the JSON files hold the same as data. A ratio says how many
times better ours is: less time, CPU or memory, or more of what is better more. ✓ and ✗ say whether what was promised is reached.
`

// A drawer makes the chart of a name by calling how, and says whether there was anything to draw.
type drawer func(name string, how func(io.Writer) (drawn bool, err error)) (drawn bool, err error)

// Book writes a report of results.
func Book(w io.Writer, all []*Result, draw drawer) error {
	fmt.Fprint(w, preface)
	for _, m := range machines(all) {
		fmt.Fprintf(w, "\n%s\n", m)
	}
	keys := keyRows(all)
	if err := picture(w, draw, "summary.svg", "Minato beside upstream", func(out io.Writer) (bool, error) {
		return len(keys) > 0, Bars(out, "Minato beside upstream", keys)
	}); err != nil {
		return err
	}
	for _, r := range all {
		fmt.Fprintln(w)
		r.Markdown(w)
		if err := r.pictures(w, draw); err != nil {
			return err
		}
	}
	return nil
}

// machines says where the results were measured, with the benches' names where that differs.
func machines(all []*Result) (out []string) {
	on := map[string][]string{}
	var order []string
	for _, r := range all {
		m := r.Machine.String()
		if on[m] == nil {
			order = append(order, m)
		}
		on[m] = append(on[m], r.Bench)
	}
	for _, m := range order {
		if len(order) > 1 {
			m = strings.Join(on[m], ", ") + ": " + m
		}
		out = append(out, m+".")
	}
	return out
}

// keyRows are the rows at the head of the report, under the title of their bench.
func keyRows(all []*Result) (out []Row) {
	for _, r := range all {
		for _, row := range r.Rows {
			if row.Key {
				if row.Group != "" {
					row.Name = row.Group + ": " + row.Name
				}
				row.Group = r.Title
				out = append(out, row)
			}
		}
	}
	return out
}

func (r *Result) pictures(w io.Writer, draw drawer) error {
	err := picture(w, draw, r.Bench+".svg", r.Title+": ours and upstream's", func(out io.Writer) (bool, error) {
		return len(measured(r.Rows)) > 0, Bars(out, r.Title, r.Rows)
	})
	for _, u := range []Unit{Millis, Seconds} {
		err = errors.Join(err, picture(w, draw, fmt.Sprintf("%s-spread-%s.svg", r.Bench, u), r.Title+": every sample", func(out io.Writer) (bool, error) {
			return Spread(out, r.Title+": every sample, p50 and p99 marked", u, r.Rows)
		}))
	}
	return err
}

// picture refers to a chart if there is one.
func picture(w io.Writer, draw drawer, file, alt string, how func(io.Writer) (bool, error)) error {
	drawn, err := draw(file, how)
	if drawn {
		fmt.Fprintf(w, "\n![%s](%s)\n", alt, file)
	}
	return err
}
