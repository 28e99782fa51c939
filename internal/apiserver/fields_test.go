package apiserver_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestFieldValidation is what becomes of unknown and double fields: each kind of write, each directive.
func TestFieldValidation(t *testing.T) {
	s := apiservertest.Start(t)
	if a := do(t, s, "POST", cms, configMap("have", `{"a":"b"}`)); a.code != 201 {
		t.Fatal(a.body)
	}
	const (
		yaml   = "application/yaml"
		json   = "application/json"
		inJSON = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%"},"dato":{},"data":{},"data":{}}`
		inYAML = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '%'}\ndato: {}\ndata: {}\ndata: {}\n"
		asked  = `ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: `
	)
	for _, c := range []struct {
		name, method, path, media, body string
		code                            int      // of a strict request
		message                         string   // of the same; begins with it
		warnings                        []string // of a request that warns, which is the default
	}{
		{"create JSON", "POST", cms, json, inJSON, 400, asked + `unknown field "dato", duplicate field "data"`, []string{`unknown field "dato"`, `duplicate field "data"`}},
		{"create YAML", "POST", cms, yaml, inYAML, 400, asked + "yaml: unmarshal errors:\n  line 6: key \"data\" already set in map, unknown field \"dato\"",
			[]string{`line 6: key "data" already set in map`, `unknown field "dato"`}},
		{"update JSON", "PUT", cms + "/have", json, strings.ReplaceAll(inJSON, "%", "have"), 400, asked + `unknown field "dato", duplicate field "data"`,
			[]string{`unknown field "dato"`, `duplicate field "data"`}},
		{"update YAML", "PUT", cms + "/have", yaml, strings.ReplaceAll(inYAML, "%", "have"), 400, asked + "yaml: unmarshal errors:\n  line 6: ",
			[]string{`line 6: key "data" already set in map`, `unknown field "dato"`}},
		{"merge patch", "PATCH", cms + "/have", mergePatch, `{"dato":1,"data":{"x":"y","x":"z"}}`, 422, ` "" is invalid: patch: Invalid value: "{`,
			[]string{`duplicate field "data.x"`, `unknown field "dato"`}},
		{"JSON patch", "PATCH", cms + "/have", jsonPatch, `[{"op":"add","path":"/dato","value":1,"foo":2}]`, 422, ` "" is invalid: patch: Invalid value: "{`,
			[]string{`json patch unknown field "[0].foo"`, `unknown field "dato"`}},
		{"strategic patch", "PATCH", cms + "/have", strategicPatch, `{"dato":1,"data":{"x":"y","x":"z"}}`, 422,
			` "" is invalid: patch: Invalid value: "map[data:map[x:z] dato:1]": strict decoding error: duplicate field "data.x", unknown field "dato"`,
			[]string{`duplicate field "data.x"`, `unknown field "dato"`}},
		{"apply", "PATCH", cms + "/have?fieldManager=m&force=true", applyPatch, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: have}\ndata: {}\ndata: {}\n", 400,
			`error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:`, []string{`line 5: key "data" already set in map`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			send := func(directive string) answer {
				path, sep := c.path, "?"
				if strings.Contains(path, "?") {
					sep = "&"
				}
				if directive != "" {
					path += sep + "fieldValidation=" + directive
				}
				return do(t, s, c.method, path, strings.ReplaceAll(c.body, "%", strings.ToLower("n-"+directive)+strings.ToLower(c.media[len(c.media)-4:])), "Content-Type", c.media)
			}
			a := send("Strict")
			if st := a.status(t); a.code != c.code || !strings.HasPrefix(st.Message, c.message) {
				t.Errorf("strict: %d %q", a.code, st.Message)
			}
			for directive, want := range map[string][]string{"Warn": c.warnings, "Ignore": nil} {
				a := send(directive)
				if got := warned(a); a.code/100 != 2 || strings.Join(got, "|") != strings.Join(want, "|") {
					t.Errorf("%s: %d, warnings %q, want %q; %.300s", directive, a.code, got, want, a.body)
				}
			}
		})
	}
}

// warned are the texts of an answer's warnings.
func warned(a answer) (out []string) {
	for _, w := range a.header["Warning"] {
		text := strings.TrimSuffix(strings.TrimPrefix(w, `299 - "`), `"`)
		out = append(out, strings.ReplaceAll(text, `\"`, `"`))
	}
	return out
}

// TestHugeBodies: a limit holds however the body comes.
func TestHugeBodies(t *testing.T) {
	s := apiservertest.Start(t)
	huge := []byte(configMap("x", `{"a":"`+strings.Repeat("a", 3<<20)+`"}`))
	for _, c := range []struct{ method, path, media string }{
		{"POST", cms, "application/json"}, {"POST", cms, "application/yaml"}, {"POST", cms, "application/vnd.kubernetes.protobuf"},
		{"PUT", cms + "/x", "application/json"}, {"PATCH", cms + "/x", mergePatch}, {"PATCH", cms + "/x?fieldManager=m", applyPatch},
		{"DELETE", cms + "/x", "application/json"}, {"DELETE", cms, "application/json"}, {"PUT", deps + "/x/scale", "application/json"}, {"POST", pods + "/x/eviction", "application/json"},
	} {
		for _, length := range []int64{int64(len(huge)), -1} {
			req, err := http.NewRequest(c.method, s.URL+c.path, io.NopCloser(bytes.NewReader(huge)))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			req.Header.Set("Content-Type", c.media)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			a := answer{resp.StatusCode, resp.Header, string(body)}
			if st := a.status(t); err != nil || a.code != 413 || st.Reason != metav1.StatusReasonRequestEntityTooLarge || st.Message != "Request entity too large: limit is 3145728" {
				t.Errorf("%s %s %s, length %d: %d %.200s (%v)", c.method, c.path, c.media, length, a.code, a.body, err)
			}
		}
	}
}
