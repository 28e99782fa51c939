package apiserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/api/apitest"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

// FuzzRequests sends any request to a whole server: paths, selectors, options, continue tokens, patches and bodies are
// parsed on the way. Whatever it is, the server answers, not with a panic, and not at the price of its memory.
func FuzzRequests(f *testing.F) {
	s := apiservertest.Start(f)
	seed := httptest.NewRequest("POST", cms, strings.NewReader(configMap("have", `{"a":"b"}`)))
	s.Handler().ServeHTTP(httptest.NewRecorder(), seed)
	const json = "application/json"
	for _, c := range [][4]string{ // method, URI, content type, body
		{"GET", "/api/v1/namespaces/default/configmaps?limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIvZGVmYXVsdC9hIn0", "", ""},
		{"GET", "/api/v1/pods?labelSelector=a+in+(b,c),!d,e%3D1&fieldSelector=spec.nodeName%3Da,status.phase!%3DRunning", "", ""},
		{"GET", "/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=0&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "", ""},
		{"GET", "/api/v1/watch/namespaces/default/configmaps/have?resourceVersion=99999", "", ""},
		{"GET", "/api/v1/namespaces/default/pods/a:b:c/proxy/x/../y?q=%00", "", ""},
		{"GET", "/api/v1//namespaces/%2e%2e/configmaps/%2f", "", ""},
		{"GET", "/apis/apps/v1/namespaces/default/deployments/x/scale/y", "", ""},
		{"GET", "/readyz?verbose&exclude=ping&exclude=", "", ""},
		{"GET", "/openapi/v3/apis/apps/v1?hash=x", "", ""},
		{"POST", cms, json, configMap("new", `{"a":"b"}`)},
		{"POST", cms + "?fieldValidation=Strict&dryRun=All&fieldManager=x", "application/yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y, name: z}\n"},
		{"POST", cms, "application/vnd.kubernetes.protobuf", "k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x05\n\x03\n\x01p"},
		{"POST", svcs, json, service("s", `,"clusterIP":"10.96.0.9","clusterIPs":["::1"],"ipFamilies":["IPv6"]`)},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json, `{"spec":{"resourceAttributes":{"fieldSelector":{"rawSelector":"a=b,,"},"labelSelector":{"requirements":[{"key":"=","operator":"In"}]}}}}`},
		{"PUT", cms + "/have", json, configMap("have", `{"c":"d"}`)},
		{"PUT", cms + "/have", json, `{"metadata":{"name":"have","resourceVersion":"-1","ownerReferences":[{},{}],"managedFields":[{"fieldsV1":{"f:a":[]}}]}}`},
		{"PATCH", cms + "/have", jsonPatch, `[{"op":"copy","from":"/data","path":"/data/x"},{"op":"test","path":"","value":0},{"op":"move","from":"/a~1","path":"/-"}]`},
		{"PATCH", cms + "/have", mergePatch, `{"data":{"a":null},"metadata":{"finalizers":["a/b"],"managedFields":[{}]}}`},
		{"PATCH", pods + "/have", strategicPatch, `{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"$patch":"delete","name":"a"}],"$retainKeys":["x"]}}`},
		{"PATCH", cms + "/applied?fieldManager=f&force=true", applyPatch, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":{"a":"b"}}`},
		{"PATCH", deps + "/d/scale?fieldManager=f", applyPatch, "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: d}\nspec: {replicas: 1}\n"},
		{"DELETE", cms + "/have?gracePeriodSeconds=-1&propagationPolicy=Orphan", json, `{"preconditions":{"uid":""},"orphanDependents":null}`},
		{"DELETE", pods + "?labelSelector=x&limit=1&timeoutSeconds=0", "", ""},
	} {
		f.Add(c[0], c[1], c[2], "application/json;as=Table;v=v1;g=meta.k8s.io, */*", c[3])
		f.Add(c[0], c[1], c[2], "application/vnd.kubernetes.protobuf", c[3])
	}
	f.Fuzz(func(t *testing.T, method, uri, contentType, accept, body string) {
		if len(body) > 64<<10 || strings.Contains(uri, "/debug/pprof") { // profiles take the time that they are asked to
			return
		}
		req, err := http.NewRequest(method, "http://server"+uri, strings.NewReader(body))
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		req = req.WithContext(ctx)
		req.RequestURI = uri
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		apitest.Bounded(t, 32<<20+16<<10*(len(body)+len(uri)), func() { s.Handler().ServeHTTP(w, req) })
		if strings.Contains(w.Body.String(), "caused apiserver to panic") {
			t.Fatalf("%s %s: panic", method, uri)
		}
	})
}
