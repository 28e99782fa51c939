package apiserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
)

// TestTablesAreWellFormed: what is framed by hand is, byte for byte, what encoding the same Table gives, whether its rows
// are remembered or not.
func TestTablesAreWellFormed(t *testing.T) {
	srv := apiservertest.Start(t)
	for i := range 3 {
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("m%d", i), Annotations: map[string]string{"a": "<&>"}},
			Data: map[string]string{"k": "<v>"}}
		if _, err := client.Of(srv.Client, client.ConfigMaps).Create(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/api/v1/configmaps", "/api/v1/namespaces/default/configmaps/m1", "/api/v1/services", "/api/v1/podtemplates",
		"/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", "/api/v1/namespaces"} {
		for _, include := range []string{"", "?includeObject=None", "?includeObject=Object", "?includeObject=Metadata"} {
			for _, version := range []string{"v1", "v1beta1"} {
				for range 2 {
					checkTable(t, srv.URL+path+include, version)
				}
			}
		}
	}
}

func checkTable(t *testing.T, url, version string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json;as=Table;g=meta.k8s.io;v="+version)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v: %s", url, resp.Status, err, got)
	}
	var tbl metav1.Table
	if err := json.Unmarshal(got, &tbl); err != nil {
		t.Fatalf("%s: %v: %s", url, err, got)
	}
	want, err := json.Marshal(&tbl)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(want, '\n'), got) {
		t.Errorf("%s:\n got %s\nwant %s", url, got, want)
	}
}
