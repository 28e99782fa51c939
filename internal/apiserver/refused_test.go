package apiserver_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

const (
	cms  = "/api/v1/namespaces/default/configmaps"
	pods = "/api/v1/namespaces/default/pods"
	deps = "/apis/apps/v1/namespaces/default/deployments"

	mergePatch     = "application/merge-patch+json"
	jsonPatch      = "application/json-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
	applyPatch     = "application/apply-patch+yaml"
)

// TestRefused is the table of what clients do wrong, with upstream's answers.
func TestRefused(t *testing.T) {
	s := apiservertest.Start(t)
	if a := do(t, s, "POST", cms, configMap("have", `{"a":"b"}`)); a.code != 201 {
		t.Fatal(a.body)
	}
	for _, c := range []struct {
		name, method, path, body, header, value string

		code    int
		reason  metav1.StatusReason
		message string // the answer's begins with it
	}{
		{"not found", "GET", cms + "/none", "", "", "", 404, "NotFound", `configmaps "none" not found`},
		{"unknown resource", "GET", "/api/v1/namespaces/default/nothings", "", "", "", 404, "NotFound", "the server could not find the requested resource"},
		{"unknown subresource", "GET", cms + "/have/status", "", "", "", 404, "NotFound", "the server could not find the requested resource"},
		{"cluster kind in a namespace", "GET", "/api/v1/namespaces/default/nodes", "", "", "", 404, "NotFound", "the server could not find the requested resource"},
		{"method", "POST", cms + "/have", configMap("have", "{}"), "", "", 405, "MethodNotAllowed", "the server does not allow this method on the requested resource"},
		{"method on all namespaces", "POST", "/api/v1/configmaps", configMap("x", "{}"), "", "", 405, "MethodNotAllowed", "the server does not allow this method"},
		{"not JSON", "POST", cms, `{`, "", "", 400, "BadRequest", "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({)"},
		{"not YAML", "POST", cms, "a: b: c", "Content-Type", "application/yaml", 400, "BadRequest", "the object provided is unrecognized (must be of type ConfigMap): "},
		{"not protobuf", "POST", cms, "k8s\x00\xff\xff", "Content-Type", "application/vnd.kubernetes.protobuf", 400, "BadRequest", "the object provided is unrecognized (must be of type ConfigMap): "},
		{"wrong type of field", "POST", cms, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{"a":1}}`, "", "", 400, "BadRequest",
			`ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string`},
		{"wrong kind", "POST", cms, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}`, "", "", 400, "BadRequest", `Secret in version "v1" cannot be handled as a ConfigMap`},
		{"wrong version", "POST", cms, `{"kind":"ConfigMap","apiVersion":"v9","metadata":{"name":"x"}}`, "", "", 400, "BadRequest", `ConfigMap in version "v9" cannot be handled as a ConfigMap`},
		{"wrong namespace", "POST", cms, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","namespace":"other"}}`, "", "", 400, "BadRequest",
			"the namespace of the provided object does not match the namespace sent on the request"},
		{"no name", "POST", cms, `{"kind":"ConfigMap","apiVersion":"v1"}`, "", "", 422, "Invalid", `ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required`},
		{"bad name", "POST", cms, configMap("A_b", "{}"), "", "", 422, "Invalid", `ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b"`},
		{"taken name", "POST", cms, configMap("have", "{}"), "", "", 409, "AlreadyExists", `configmaps "have" already exists`},
		{"revision on create", "POST", cms, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","resourceVersion":"1"}}`, "", "", 500, "",
			"resourceVersion should not be set on objects to be created"},
		{"unknown field, strict", "POST", cms + "?fieldValidation=Strict", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"dato":{}}`, "", "", 400, "BadRequest",
			`ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dato"`},
		{"double field, strict", "POST", cms + "?fieldValidation=Strict", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{},"data":{}}`, "", "", 400, "BadRequest",
			`ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data"`},
		{"unknown validation", "POST", cms + "?fieldValidation=Nice", configMap("x", "{}"), "", "", 422, "Invalid", `CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Nice"`},
		{"unknown dry run", "POST", cms + "?dryRun=Some", configMap("x", "{}"), "", "", 422, "Invalid", `CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]`},
		{"media type", "POST", cms, "x", "Content-Type", "text/csv", 415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"},
		{"accept", "GET", cms, "", "Accept", "text/csv", 406, "NotAcceptable", "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch"},
		{"huge", "POST", cms, configMap("x", `{"a":"`+strings.Repeat("a", 3<<20)+`"}`), "", "", 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"},
		{"label selector", "GET", cms + "?labelSelector=a+in", "", "", "", 400, "BadRequest", "unable to parse requirement: found '' expected: '('"},
		{"field selector", "GET", cms + "?fieldSelector=data.a%3Db", "", "", "", 400, "BadRequest", `"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"`},
		{"pod field selector", "GET", pods + "?fieldSelector=spec.x%3Db", "", "", "", 400, "BadRequest", `field label not supported: spec.x`},
		{"field selector syntax", "GET", pods + "?fieldSelector=%3D%3Dx", "", "", "", 400, "BadRequest", ``},
		{"revision", "GET", cms + "?resourceVersion=abc", "", "", "", 400, "BadRequest", `invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax`},
		{"revision of one", "GET", cms + "/have?resourceVersion=abc", "", "", "", 500, "", `resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax`},
		{"revision match", "GET", cms + "?resourceVersionMatch=Exact", "", "", "", 422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided`},
		{"revision in the future", "GET", cms + "?resourceVersion=999999", "", "", "", 504, "Timeout", "Timeout: Too large resource version: 999999, current: "},
		{"continue", "GET", cms + "?continue=xyz", "", "", "", 400, "BadRequest", "invalid continue token: continue key is not valid"},
		{"initial events of a list", "GET", cms + "?sendInitialEvents=true", "", "", "", 422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list`},
		{"limit", "GET", cms + "?limit=x", "", "", "", 400, "BadRequest", ``},
		{"table options", "GET", cms + "?includeObject=All", "", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io", 400, "BadRequest", "Unable to convert to Table as requested: includeObject: Invalid value: \"All\""},
		{"metadata of a list", "GET", cms, "", "Accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", 406, "NotAcceptable", "you requested PartialObjectMetadata, but the requested object is a list"},

		{"update of none", "PUT", cms + "/none", configMap("none", "{}"), "", "", 404, "NotFound", `configmaps "none" not found`},
		{"name in URL", "PUT", cms + "/have", configMap("other", "{}"), "", "", 400, "BadRequest", "the name of the object (other) does not match the name on the URL (have)"},
		{"stale", "PUT", cms + "/have", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"have","resourceVersion":"1"}}`, "", "", 409, "Conflict",
			`Operation cannot be fulfilled on configmaps "have": the object has been modified; please apply your changes to the latest version and try again`},
		{"other UID", "PUT", cms + "/have", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"have","uid":"u"}}`, "", "", 409, "Conflict",
			`Operation cannot be fulfilled on configmaps "have": StorageError: invalid object, Code: 4, Key: /registry/configmaps/default/have, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: u, UID in object meta: `},

		{"patch type", "PATCH", cms + "/have", `{}`, "Content-Type", "application/json", 415, "UnsupportedMediaType", "415: Unsupported Media Type"},
		{"patch not JSON", "PATCH", cms + "/have", `{`, "Content-Type", mergePatch, 400, "BadRequest", "invalid JSON patch"},
		{"patch of none", "PATCH", cms + "/none", `{}`, "Content-Type", mergePatch, 404, "NotFound", `configmaps "none" not found`},
		{"JSON patch not applied", "PATCH", cms + "/have", `[{"op":"remove","path":"/data/zz"}]`, "Content-Type", jsonPatch, 422, "Invalid", "the server rejected our request due to an error in our request"},
		{"merge patch to nonsense", "PATCH", cms + "/have", `{"data":1}`, "Content-Type", mergePatch, 422, "Invalid", ` "" is invalid: patch: Invalid value: `},
		{"strict merge patch", "PATCH", cms + "/have?fieldValidation=Strict", `{"dato":1}`, "Content-Type", mergePatch, 422, "Invalid", ` "" is invalid: patch: Invalid value: `},
		{"apply without manager", "PATCH", cms + "/have", configMap("have", "{}"), "Content-Type", applyPatch, 422, "Invalid", `PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch`},
		{"apply conflict", "PATCH", cms + "/have?fieldManager=other", configMap("have", `{"a":"z"}`), "Content-Type", applyPatch, 409, "Conflict",
			`Apply failed with 1 conflict: conflict with "test" using v1: .data.a`},
		{"apply of an unknown field", "PATCH", cms + "/have?fieldManager=other", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"have"},"dato":1}`, "Content-Type", applyPatch, 500, "",
			`failed to create typed patch object (/have; /v1, Kind=ConfigMap): .dato: field not declared in schema`},
		{"immutable", "PATCH", cms + "/have", `{"metadata":{"name":"z"}}`, "Content-Type", mergePatch, 400, "BadRequest", "the name of the object (z) does not match the name on the URL (have)"},
		{"deletion precondition", "DELETE", cms + "/have", `{"preconditions":{"uid":"u"}}`, "", "", 409, "Conflict", `Operation cannot be fulfilled on ConfigMap "have": the UID in the precondition (u) does not match the UID in record (`},
		{"deletion options", "DELETE", cms + "/have", `{"propagationPolicy":"Later"}`, "", "", 422, "Invalid", `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Later"`},
		{"deletion of none", "DELETE", cms + "/none", "", "", "", 404, "NotFound", `configmaps "none" not found`},
		{"scale below zero", "PATCH", deps + "/none/scale", `{"spec":{"replicas":-1}}`, "Content-Type", mergePatch, 404, "NotFound", `deployments.apps "none" not found`},
		{"no node yet", "GET", pods + "/none/log", "", "", "", 404, "NotFound", `pods "none" not found`},
		{"watch revision", "GET", cms + "?watch=1&resourceVersion=abc", "", "", "", 500, "", `resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax`},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := []string{}
			if c.header != "" {
				headers = []string{c.header, c.value}
			}
			a := do(t, s, c.method, c.path, c.body, headers...)
			st := a.status(t)
			if a.code != c.code || int(st.Code) != c.code || st.Reason != c.reason || !strings.HasPrefix(st.Message, c.message) {
				t.Errorf("%d %s %q\nwant %d %s %q", a.code, st.Reason, st.Message, c.code, c.reason, c.message)
			}
		})
	}
}
