package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/store"
)

// TestListsSurviveARestart reads older states from a server that was not there when they were made.
func TestListsSurviveARestart(t *testing.T) {
	st := store.NewMemory()
	s := apiservertest.Start(t, func(c *apiserver.Config) { c.Store = st })
	again := func(c *apiserver.Config) { c.Store, c.Prepare = st, nil }
	for i := range 5 {
		if a := do(t, s, "POST", cms, configMap(fmt.Sprint("c", i), "{}")); a.code != 201 {
			t.Fatal(a.body)
		}
	}
	first := list(t, s, cms+"?limit=2")
	if a := do(t, s, "DELETE", cms+"/c3", ""); a.code != 200 {
		t.Fatal(a.body)
	}

	s = apiservertest.Start(t, again)
	if got := list(t, s, cms+"?limit=2&continue="+url.QueryEscape(first.Continue)); got.names != "c2 c3" || got.ResourceVersion != first.ResourceVersion || *got.RemainingItemCount != 1 {
		t.Errorf("second page: %+v", got)
	}
	exact := cms + "?resourceVersionMatch=Exact&resourceVersion=" + first.ResourceVersion
	if got := list(t, s, exact); got.names != "c0 c1 c2 c3 c4" {
		t.Errorf("exact: %s", got.names)
	}
	if got := list(t, s, cms); got.names != "c0 c1 c2 c4" {
		t.Errorf("newest: %s", got.names)
	}

	rev, err := st.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Compact(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*apiservertest.Server{s, apiservertest.Start(t, again)} { // the first has it in its cache still
		if a := do(t, s, "GET", exact, ""); a.code != 410 || a.status(t).Reason != metav1.StatusReasonExpired {
			t.Errorf("forgotten: %d %s", a.code, a.body)
		}
		if a := do(t, s, "GET", cms+"?limit=2&continue="+url.QueryEscape(first.Continue), ""); a.code != 410 || a.status(t).Continue == "" {
			t.Errorf("forgotten page: %d %s", a.code, a.body)
		}
	}
}

// listed is what a test sees of a list.
type listed struct {
	metav1.ListMeta
	names string
}

func list(t *testing.T, s *apiservertest.Server, path string) listed {
	t.Helper()
	a := do(t, s, "GET", path, "")
	var l metav1.PartialObjectMetadataList
	if err := json.Unmarshal([]byte(a.body), &l); err != nil || a.code != 200 {
		t.Fatalf("%s: %d %s", path, a.code, a.body)
	}
	var names []string
	for _, i := range l.Items {
		names = append(names, i.Name)
	}
	return listed{l.ListMeta, strings.Join(names, " ")}
}
