package api

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// column is one column of a table; priority 1 shows only with -o wide.
func column(name, typ, format, description string, priority int32) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: typ, Format: format, Description: description, Priority: priority}
}

var defaultColumns = []metav1.TableColumnDefinition{nameColumn, ageColumn}

var (
	nameColumn = column("Name", "string", "name", describeMeta("name"), 0)
	ageColumn  = column("Age", "string", "", describeMeta("creationTimestamp"), 0)
)

// describeMeta is the API documentation of a field of metadata.
func describeMeta(field string) string { return metav1.ObjectMeta{}.SwaggerDoc()[field] }

func defaultRow(obj runtime.Object, now time.Time) ([]any, error) {
	return typed(func(o Object, now time.Time) []any {
		return []any{o.GetName(), age(o.GetCreationTimestamp(), now)}
	})(obj, now)
}

// age is how long ago t was, as kubectl writes it: "5d", "3m20s", "<unknown>".
func age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}
