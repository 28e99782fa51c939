package discovery_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestServerSaysWhatUpstreamSays compares the documents of a real server, made of the API's own tables, with upstream's.
func TestServerSaysWhatUpstreamSays(t *testing.T) {
	s := apiservertest.Start(t)
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "api", "discovery")
	for _, g := range api.Groups() {
		for _, gv := range g.Versions {
			path := "/apis/" + gv.String()
			if gv.Group == "" {
				path = "/api/" + gv.Version
			}
			var want, got metav1.APIResourceList
			data, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(strings.Trim(path, "/"), "/", "__")+".json"))
			if err == nil {
				err = json.Unmarshal(data, &want)
			}
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.Get(s.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				err = json.Unmarshal(body, &got)
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s", path, d)
			}
		}
	}
}
