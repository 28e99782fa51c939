package apiserver_test

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

const (
	asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"
	aPod    = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"app":"p"}},"spec":{"containers":[{"name":"c","image":"i"}]}}`
	aDeploy = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}},` +
		`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
)

// wants sends a request that has to be answered with code.
func wants(t *testing.T, s *apiservertest.Server, code int, method, path, body string, headers ...string) answer {
	t.Helper()
	a := do(t, s, method, path, body, headers...)
	if a.code != code {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, a.code, code, a.body)
	}
	return a
}

func TestDeprecatedVersionsWarn(t *testing.T) {
	s := apiservertest.Start(t)
	a := wants(t, s, 200, "GET", "/api/v1/endpoints", "")
	if w := a.header.Get("Warning"); w != `299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"` {
		t.Errorf("warning %q", w)
	}
	if w := wants(t, s, 200, "GET", "/api/v1/pods", "").header.Get("Warning"); w != "" {
		t.Errorf("pods warn: %s", w)
	}
}

func TestTablesOfSubresources(t *testing.T) {
	s := apiservertest.Start(t)
	wants(t, s, 201, "POST", pods, aPod)
	wants(t, s, 201, "POST", deps, aDeploy)
	wants(t, s, 200, "GET", pods+"/p/status", "", "Accept", asTable)
	wants(t, s, 406, "GET", pods+"/p/ephemeralcontainers", "", "Accept", asTable)
	wants(t, s, 406, "GET", pods+"/p/resize", "", "Accept", asTable)
	var table metav1.Table
	if err := json.Unmarshal([]byte(wants(t, s, 200, "GET", deps+"/d/scale", "", "Accept", asTable).body), &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 1 || len(table.ColumnDefinitions) != 4 || table.Rows[0].Cells[0] != "d" || table.Rows[0].Cells[1] != float64(2) {
		t.Errorf("scale as a table: %+v", table)
	}
}

func TestColumnsAreDocumented(t *testing.T) {
	s := apiservertest.Start(t)
	var table metav1.Table
	if err := json.Unmarshal([]byte(wants(t, s, 200, "GET", "/api/v1/services", "", "Accept", asTable).body), &table); err != nil {
		t.Fatal(err)
	}
	for _, c := range table.ColumnDefinitions {
		if c.Description == "" {
			t.Errorf("column %s says nothing", c.Name)
		}
	}
}

// TestGracelessDeletionIsSeen: watchers see the mark of a pod that is deleted at once, then its end.
func TestGracelessDeletionIsSeen(t *testing.T) {
	s := apiservertest.Start(t)
	rv := version(decodeBody(t, wants(t, s, 200, "GET", pods, "")))
	wants(t, s, 201, "POST", pods, aPod)
	a := wants(t, s, 200, "DELETE", pods+"/p?gracePeriodSeconds=0", "")
	if !strings.Contains(a.body, `"deletionGracePeriodSeconds":0`) {
		t.Errorf("the answer has no mark: %s", a.body)
	}
	(&life{T: t, base: s.URL}).follow(pods+"?watch=1&timeoutSeconds=5&resourceVersion="+rv, "ADDED", "MODIFIED", "DELETED")
}

func decodeBody(t *testing.T, a answer) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEvictionStory takes a budget through its states.
func TestEvictionStory(t *testing.T) {
	s := apiservertest.Start(t)
	const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	eviction := func(version, more string) string {
		return `{"apiVersion":"policy/` + version + `","kind":"Eviction","metadata":{"name":"p"}` + more + `}`
	}
	budget := func(status string) {
		t.Helper()
		wants(t, s, 200, "PATCH", budgets+"/b/status", `{"status":`+status+`}`, "Content-Type", mergePatch)
	}
	wants(t, s, 201, "POST", pods, aPod)
	wants(t, s, 201, "POST", budgets, `{"metadata":{"name":"b"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"p"}}}}`)
	wants(t, s, 201, "POST", pods+"/p/eviction?dryRun=All", eviction("v1beta1", ""))
	wants(t, s, 409, "POST", pods+"/p/eviction", eviction("v1", `,"deleteOptions":{"preconditions":{"uid":"x"}}`))
	if a := wants(t, s, 200, "GET", pods+"/p", ""); strings.Contains(a.body, "DisruptionTarget") {
		t.Error("a refused eviction has marked the pod")
	}
	wants(t, s, 200, "PATCH", pods+"/p/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`, "Content-Type", strategicPatch)
	if a := wants(t, s, 429, "POST", pods+"/p/eviction", eviction("v1", "")); !strings.Contains(a.body, "still being processed") {
		t.Error(a.body)
	}
	budget(`{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}`)
	if a := wants(t, s, 429, "POST", pods+"/p/eviction", eviction("v1", "")); !strings.Contains(a.body, "needs 1 healthy pods and has 1 currently") {
		t.Error(a.body)
	}
	budget(`{"observedGeneration":1,"disruptionsAllowed":1,"currentHealthy":2,"desiredHealthy":1,"expectedPods":2}`)
	wants(t, s, 201, "POST", pods+"/p/eviction", eviction("v1", ""))
	a := wants(t, s, 200, "GET", budgets+"/b", "")
	for _, want := range []string{`"disruptionsAllowed":0`, `"disruptedPods":{"p":`, `"reason":"InsufficientPods"`, `"manager":"kube-apiserver"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the budget lacks %s: %s", want, a.body)
		}
	}
	wants(t, s, 404, "GET", pods+"/p", "") // no node holds it
}
