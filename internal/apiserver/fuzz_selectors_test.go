package apiserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

// FuzzSelectors lists by any selectors, and wants those objects that the library's own selectors choose among what was
// written: the indexes, and the walk over one name, change nothing. What the library cannot parse is a bad request.
func FuzzSelectors(f *testing.F) {
	s := apiservertest.Start(f)
	have := map[string]labels.Set{}
	for i := range 12 {
		name, set := fmt.Sprintf("p%d", i), labels.Set{}
		if i%2 == 0 {
			set["app"] = []string{"a", "b", ""}[i%3]
		}
		if i%3 == 0 {
			set["example.com/tier"] = fmt.Sprint(i)
		}
		have[name] = set
		raw, err := json.Marshal(set)
		if err != nil {
			f.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("POST", pods, strings.NewReader(fmt.Sprintf(
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","labels":%s},"spec":{"nodeName":"%s","containers":[{"name":"c","image":"i"}]}}`, name, raw, nodeOf(i)))))
		if w.Code != http.StatusCreated {
			f.Fatal(w.Body)
		}
	}
	for _, c := range [][2]string{{"app=a", ""}, {"app in (a,b),!example.com/tier", "metadata.name!=p2"}, {"app!=", "spec.nodeName=n1"}, {"example.com/tier>2", ""},
		{"", "metadata.name=p3,spec.nodeName=n0"}, {"", "metadata.name=p3,metadata.name=p4"}, {"", "spec.nodeName="}, {"a=b=c", ""}, {"", "x"}, {"", "spec.nosuch=1"},
		{"app notin (a)", `metadata.name=p\,3`}, {"app", "status.phase=Pending,spec.restartPolicy=Always"}, {"((", "=="}, {"app==a,app!=b", "metadata.namespace=default"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, label, field string) {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", pods+"?"+url.Values{"labelSelector": {label}, "fieldSelector": {field}}.Encode(), nil))
		bySet, err1 := labels.Parse(label)
		byField, err2 := fields.ParseSelector(field)
		if err1 != nil || err2 != nil {
			if w.Code != http.StatusBadRequest {
				t.Fatalf("%d for %v, %v", w.Code, err1, err2)
			}
			return
		}
		if w.Code == http.StatusBadRequest { // a field that pods are not selected by
			return
		}
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %v: %s", w.Code, err, w.Body)
		}
		var got, want []string
		for _, i := range list.Items {
			got = append(got, i.Metadata.Name)
		}
		for _, name := range slices.Sorted(maps.Keys(have)) {
			if bySet.Matches(have[name]) && byField.Matches(fieldsOf(name)) {
				want = append(want, name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, %q: %v, want %v", label, field, got, want)
		}
	})
}

func nodeOf(i int) string { return fmt.Sprint("n", i%4) }

// fieldsOf are the fields that pods are selected by, as they are of FuzzSelectors' pods.
func fieldsOf(name string) fields.Set {
	i := 0
	_, _ = fmt.Sscanf(name, "p%d", &i)
	return fields.Set{"metadata.name": name, "metadata.namespace": "default", "spec.nodeName": nodeOf(i), "spec.restartPolicy": "Always",
		"spec.schedulerName": "default-scheduler", "spec.serviceAccountName": "", "spec.hostNetwork": "false", "status.phase": "Pending",
		"status.podIP": "", "status.podIPs": "", "status.nominatedNodeName": ""}
}
