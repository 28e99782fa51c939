package apiserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

// BenchmarkWrites is what the server's own part of a write costs: no connection, and a store in memory.
func BenchmarkWrites(b *testing.B) {
	s := apiservertest.Start(b, func(c *apiserver.Config) {
		c.Secure = func(o *apiserver.Objects) (apiserver.Security, error) {
			sec, err := apiservertest.AllowAll(o)
			sec.Admission = admission.New(admission.Config{Objects: o, Authorizer: sec.Authorizer})
			return sec, err
		}
	})
	const path = "/api/v1/namespaces/default/configmaps"
	filler := strings.Repeat("0123456789abcdef", 60)
	body := func(name string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"filler":%q,"time":"sent at %d"}}`, name, filler, time.Now().UnixNano())
	}
	send := func(b *testing.B, method, path, body string, code int) {
		req := httptest.NewRequestWithContext(b.Context(), method, path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != code {
			b.Fatalf("%d: %s", w.Code, w.Body)
		}
	}
	n := 0
	b.Run("create", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n++
			send(b, http.MethodPost, path, body(fmt.Sprintf("c-%d", n)), http.StatusCreated)
		}
	})
	b.Run("update", func(b *testing.B) {
		b.ReportAllocs()
		n++
		name := fmt.Sprintf("u-%d", n)
		send(b, http.MethodPost, path, body(name), http.StatusCreated)
		for b.Loop() {
			send(b, http.MethodPut, path+"/"+name, body(name), http.StatusOK)
		}
	})
}
