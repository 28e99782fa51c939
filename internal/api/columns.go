package api

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// table describes columns by their names. A "#" at the end makes an integer, a "?" a boolean, a "%" a date, a "!" a name as
// "Name" is without asking and with "=" is not; a "+" after that shows the column only with -o wide.
func table(names ...string) []metav1.TableColumnDefinition {
	out := make([]metav1.TableColumnDefinition, 0, len(names))
	for _, n := range names {
		c := metav1.TableColumnDefinition{Type: "string"}
		n, wide := strings.CutSuffix(n, "+")
		if wide {
			c.Priority = 1
		}
		for mark, typ := range map[string]string{"#": "integer", "?": "boolean", "%": "date"} {
			if bare, ok := strings.CutSuffix(n, mark); ok {
				n, c.Type = bare, typ
			}
		}
		named := n == "Name"
		if bare, ok := strings.CutSuffix(n, "!"); ok {
			n, named = bare, true
		}
		n = strings.TrimSuffix(n, "=")
		c.Name, c.Description = n, describe(n)
		if named {
			c.Format = "name"
		}
		out = append(out, c)
	}
	return out
}

// describe is the API documentation of the columns that all kinds share.
func describe(column string) string {
	switch column {
	case "Name":
		return metav1.ObjectMeta{}.SwaggerDoc()["name"]
	case "Age", "Created At":
		return metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]
	}
	return ""
}

func defaultRow(obj runtime.Object, now time.Time) ([]any, error) {
	return typed(func(o Object, now time.Time) []any {
		return []any{o.GetName(), o.GetCreationTimestamp().Time.UTC().Format(time.RFC3339)}
	})(obj, now)
}

// age is how long ago t was, as kubectl writes it: "5d", "3m20s", "<unknown>".
func age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

func microAge(t metav1.MicroTime, now time.Time) string { return age(metav1.Time{Time: t.Time}, now) }

// orNone is what an empty cell shows.
func orNone(s string) string { return or(s, "<none>") }

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// orElse is a pointer's value, other for none.
func orElse[T ~string](p *T, other string) string {
	if p == nil {
		return other
	}
	return string(*p)
}

// orUnset is a pointer's value, "<unset>" for none.
func orUnset[T ~string](p *T) string { return orElse(p, "<unset>") }

// selectorCell is a label selector as text, "<none>" for one that is missing or empty.
func selectorCell(s *metav1.LabelSelector) string { return metav1.FormatLabelSelector(s) }

// labelsCell is a map of labels as text.
func labelsCell(m map[string]string) string { return labels.FormatLabels(m) }

// containerCells are the names and the images of a template's containers.
func containerCells(list []corev1.Container) (names, images string) {
	n, m := make([]string, len(list)), make([]string, len(list))
	for i, c := range list {
		n[i], m[i] = c.Name, c.Image
	}
	return strings.Join(n, ","), strings.Join(m, ",")
}

// some joins the first three, and tells how many there are beyond.
func some(list []string) string {
	const most = 3
	if len(list) > most {
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:most], ","), len(list)-most)
	}
	return strings.Join(list, ",")
}
