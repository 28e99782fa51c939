package apiserver_test

import (
	"net/http"
	"strings"
	"testing"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/store"
)

// TestUnreadable deletes what nobody can decode, and only that, where somebody asks for just this.
func TestUnreadable(t *testing.T) {
	st := store.NewMemory()
	if _, err := st.Create(t.Context(), "/registry/configmaps/default/broken", []byte("no object"), 0); err != nil {
		t.Fatal(err)
	}
	srv := apiservertest.Start(t, func(c *apiserver.Config) { c.Store = st })
	const cms = "/api/v1/namespaces/default/configmaps"
	do(t, srv, http.MethodPost, cms, `{"metadata":{"name":"whole"}}`)
	const ignoring = "?ignoreStoreReadErrorWithClusterBreakingPotential=true"
	for _, c := range []struct {
		name, method, path string
		code               int
		says               string
	}{
		{"cannot be deleted as others", http.MethodDelete, cms + "/broken", 500, "InternalError"},
		{"readable", http.MethodDelete, cms + "/whole" + ignoring, 409, "unsafe deletion is not allowed because the object is decodable from storage"},
		{"none", http.MethodDelete, cms + "/none" + ignoring, 404, "not found"},
		{"with preconditions", http.MethodDelete, cms + "/broken" + ignoring + "&gracePeriodSeconds=0", 422, "ignoreStoreReadErrorWithClusterBreakingPotential"},
		{"all", http.MethodDelete, cms + ignoring, 422, "is not allowed with DELETECOLLECTION"},
		{"tried", http.MethodDelete, cms + "/broken" + ignoring + "&dryRun=All", 200, `"status":"Success"`},
		{"gone", http.MethodDelete, cms + "/broken" + ignoring, 200, `"status":"Success"`},
		{"gone again", http.MethodDelete, cms + "/broken" + ignoring, 404, "not found"},
	} {
		if got := do(t, srv, c.method, c.path, ""); got.code != c.code || !strings.Contains(string(got.body), c.says) {
			t.Errorf("%s: %d %s", c.name, got.code, got.body)
		}
	}
}
