package apiserver_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

// answer is what a test sees of a response.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (a answer) status(t *testing.T) metav1.Status {
	t.Helper()
	var s metav1.Status
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		t.Fatalf("no Status: %v: %s", err, a.body)
	}
	return s
}

// do sends one request; headers come in pairs.
func do(t *testing.T, s *apiservertest.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "test/1")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func configMap(name string, data string) string {
	return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + name + `"},"data":` + data + `}`
}

func TestMainPath(t *testing.T) {
	s := apiservertest.Start(t)
	const cms = "/api/v1/namespaces/default/configmaps"
	a := do(t, s, "POST", cms, configMap("a", `{"k":"v"}`))
	if a.code != 201 || !strings.Contains(a.body, `"uid":`) {
		t.Fatalf("create: %d %s", a.code, a.body)
	}
	if a = do(t, s, "GET", cms+"/a", ""); a.code != 200 || !strings.Contains(a.body, `"k":"v"`) {
		t.Fatalf("get: %d %s", a.code, a.body)
	}
	if a = do(t, s, "GET", cms, ""); a.code != 200 || !strings.Contains(a.body, `"kind":"ConfigMapList"`) {
		t.Fatalf("list: %d %s", a.code, a.body)
	}
	if a = do(t, s, "PATCH", cms+"/a", `{"data":{"k":"w"}}`, "Content-Type", "application/merge-patch+json"); a.code != 200 || !strings.Contains(a.body, `"k":"w"`) {
		t.Fatalf("merge patch: %d %s", a.code, a.body)
	}
	if a = do(t, s, "PATCH", cms+"/a", `{"data":{"l":"m"}}`, "Content-Type", "application/strategic-merge-patch+json"); a.code != 200 || !strings.Contains(a.body, `"l":"m"`) {
		t.Fatalf("strategic patch: %d %s", a.code, a.body)
	}
	if a = do(t, s, "PATCH", cms+"/b?fieldManager=me", configMap("b", `{"x":"y"}`), "Content-Type", "application/apply-patch+yaml"); a.code != 201 {
		t.Fatalf("apply: %d %s", a.code, a.body)
	}
	if a = do(t, s, "PUT", cms+"/a", configMap("a", `{"z":"z"}`)); a.code != 200 || strings.Contains(a.body, `"l":"m"`) {
		t.Fatalf("update: %d %s", a.code, a.body)
	}
	if a = do(t, s, "DELETE", cms+"/a", ""); a.code != 200 || !strings.Contains(a.body, `"Success"`) {
		t.Fatalf("delete: %d %s", a.code, a.body)
	}
	if a = do(t, s, "GET", cms+"/a", ""); a.code != 404 || a.status(t).Message != `configmaps "a" not found` {
		t.Fatalf("get deleted: %d %s", a.code, a.body)
	}
	if a = do(t, s, "GET", cms+"?watch=1&resourceVersion=0&timeoutSeconds=1", ""); a.code != 200 || !strings.Contains(a.body, `"type":"ADDED"`) {
		t.Fatalf("watch: %d %s", a.code, a.body)
	}
}
