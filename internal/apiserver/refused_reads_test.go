package apiserver_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestRefusedSelections is what clients do wrong when they choose what to read, watch or delete.
func TestRefusedSelections(t *testing.T) {
	s := apiservertest.Start(t)
	const (
		watch   = "watch=1&timeoutSeconds=1&"
		invalid = `ListOptions.meta.k8s.io "" is invalid: `
		page    = "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiJhXHUwMDAwIn0"
	)
	for _, c := range []struct {
		method, query string
		code          int
		reason        metav1.StatusReason
		message       string
	}{
		{"GET", watch + "labelSelector=a+in", 400, "BadRequest", "unable to parse requirement: found '' expected: '('"},
		{"DELETE", "labelSelector=a+in", 400, "BadRequest", "unable to parse requirement: found '' expected: '('"},
		{"GET", "labelSelector=a%3D%3D%3Db", 400, "BadRequest", "unable to parse requirement: found '=', expected: identifier"},
		{"GET", "labelSelector=%3Da", 400, "BadRequest", "found '=', expected: !, identifier, or 'end of string'"},
		{"GET", "labelSelector=-a", 400, "BadRequest", `unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of alphanumeric characters`},
		{"GET", watch + "fieldSelector=data.a%3Db", 400, "BadRequest", `"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"`},
		{"DELETE", "fieldSelector=data.a%3Db", 400, "BadRequest", `"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"`},
		{"GET", "fieldSelector=abc", 400, "BadRequest", "invalid selector: 'abc'; can't understand 'abc'"},
		{"GET", "limit=x", 400, "BadRequest", `strconv.ParseInt: parsing "x": invalid syntax`},
		{"GET", "watch=1&timeoutSeconds=x", 400, "BadRequest", `strconv.ParseInt: parsing "x": invalid syntax`},
		{"GET", "timeout=1ns", 504, "Timeout", "Timeout: request did not complete within the allotted timeout"},
		{"GET", "timeout=x", 400, "BadRequest", `invalid timeout specified in the request URL - time: invalid duration "x"`},

		{"GET", "resourceVersion=-1", 400, "BadRequest", `invalid resource version: resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax`},
		{"GET", "resourceVersion=99999999999999999999999", 400, "BadRequest", `invalid resource version: resourceVersion: Invalid value: "99999999999999999999999": strconv.ParseUint: `},
		{"GET", watch + "resourceVersion=-1", 500, "", `resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax`},
		{"GET", "resourceVersionMatch=NotOlderThan", 422, "Invalid", invalid + "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"GET", "resourceVersionMatch=Like&resourceVersion=1", 422, "Invalid", invalid + `resourceVersionMatch: Unsupported value: "Like": supported values: "Exact", "NotOlderThan", ""`},
		{"GET", "resourceVersionMatch=Exact&resourceVersion=0", 422, "Invalid", invalid + `resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`},
		{"GET", "resourceVersionMatch=Exact&resourceVersion=1&" + page, 422, "Invalid", invalid + "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"},
		{"GET", "resourceVersion=1&" + page, 400, "BadRequest", "specifying resource version is not allowed when using continue"},
		{"GET", watch + "sendInitialEvents=true", 422, "Invalid", invalid + "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
		{"GET", watch + "resourceVersionMatch=NotOlderThan&resourceVersion=1", 422, "Invalid",
			invalid + "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"},

		{"DELETE", "gracePeriodSeconds=x", 400, "BadRequest", `strconv.ParseInt: parsing "x": invalid syntax`},
		{"DELETE", "propagationPolicy=Later", 422, "Invalid", `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Later": supported values: "Foreground", "Background", "Orphan", "nil"`},
		{"DELETE", "dryRun=Some", 422, "Invalid", `DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"`},
	} {
		t.Run(c.method+" "+c.query, func(t *testing.T) {
			a := do(t, s, c.method, cms+"?"+c.query, "")
			if st := a.status(t); a.code != c.code || int(st.Code) != c.code || st.Reason != c.reason || !strings.HasPrefix(st.Message, c.message) {
				t.Errorf("%d %s %q\nwant %d %s %q", a.code, st.Reason, st.Message, c.code, c.reason, c.message)
			}
		})
	}
}
