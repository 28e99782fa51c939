package api

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// docs are the descriptions of a kind's columns by their names, as clients of Tables see them.
type docs map[string]string

// doc is the API documentation of one field of a type.
func doc(t interface{ SwaggerDoc() map[string]string }, field string) string {
	return t.SwaggerDoc()[field]
}

// documented fills in what the columns of a kind mean.
func documented(plural string, columns []metav1.TableColumnDefinition) []metav1.TableColumnDefinition {
	for _, list := range []docs{coreColumns(plural), workloadColumns(plural), otherColumns(plural)} {
		for i := range columns {
			if text, ok := list[columns[i].Name]; ok {
				columns[i].Description = text
			}
		}
	}
	return columns
}
