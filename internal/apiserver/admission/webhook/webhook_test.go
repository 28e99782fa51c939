package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"minato.dev/minato/internal/apiserver/admission/admissiontest"
	"minato.dev/minato/internal/apiserver/admission/policy"
)

type world = admissiontest.World

var (
	validating = admissionregistrationv1.Resource("validatingwebhookconfigurations")
	mutating   = admissionregistrationv1.Resource("mutatingwebhookconfigurations")
)

// server is a webhook that answers by the path: what it says is in answer.
func server(t *testing.T, answer func(path string, r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) (s *httptest.Server, trust []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"judge.law.svc", "localhost"}, IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || r.URL.Path == "/broken" {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		said := answer(r.URL.Path, review.Request)
		if r.URL.Path != "/other-uid" {
			said.UID = review.Request.UID
		}
		_ = json.NewEncoder(w).Encode(admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: said})
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
}

// answers are the answers of the test's webhook.
func answers(wait <-chan struct{}) func(path string, r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	jsonPatch := admissionv1.PatchTypeJSONPatch
	return func(path string, r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		yes := &admissionv1.AdmissionResponse{Allowed: true}
		switch path {
		case "/deny":
			return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: "no " + r.Kind.Kind, Reason: metav1.StatusReasonForbidden, Code: 403}}
		case "/warn":
			yes.Warnings = []string{"beware"}
		case "/slow":
			<-wait
		case "/label": // one label with the number of those that it saw
			var cm corev1.ConfigMap
			if err := json.Unmarshal(r.Object.Raw, &cm); err != nil {
				return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: err.Error()}}
			}
			yes.PatchType, yes.Patch = &jsonPatch, fmt.Appendf(nil, `[{"op":"add","path":"/data/seen","value":"%d"}]`, len(cm.Data))
		case "/more":
			yes.PatchType, yes.Patch = &jsonPatch, []byte(`[{"op":"add","path":"/data/more","value":"x"}]`)
		case "/nonsense":
			yes.PatchType, yes.Patch = &jsonPatch, []byte(`[{"op":"replace","path":"/none/here","value":"x"}]`)
		}
		return yes
	}
}

func configMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}, Data: map[string]string{"k": "v"}}
}

func created(cm *corev1.ConfigMap, dryRun bool) admission.Attributes {
	return admission.NewAttributesRecord(cm, nil, corev1.SchemeGroupVersion.WithKind("ConfigMap"), "a", "x", corev1.SchemeGroupVersion.WithResource("configmaps"), "",
		admission.Create, &metav1.CreateOptions{}, dryRun, &user.DefaultInfo{Name: "jane"})
}

var configMaps = []admissionregistrationv1.RuleWithOperations{{Operations: []admissionregistrationv1.OperationType{"*"},
	Rule: admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}}}}

func TestValidate(t *testing.T) {
	end := make(chan struct{})
	s, trust := server(t, answers(end))
	t.Cleanup(func() { close(end) })
	ignore, none, some, second := admissionregistrationv1.Ignore, admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.SideEffectClassSome, int32(1)
	at := func(path string) *string {
		u := strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + path
		return &u
	}
	type hookOf = admissionregistrationv1.ValidatingWebhook
	for _, c := range []struct {
		what    string
		change  func(h *hookOf)
		dryRun  bool
		want    string // a part of the refusal
		warning string
	}{
		{"yes", func(h *hookOf) { h.ClientConfig.URL = at("/allow") }, false, "", ""},
		{"no", func(h *hookOf) { h.ClientConfig.URL = at("/deny") }, false, `admission webhook "h.example.com" denied the request: no ConfigMap`, ""},
		{"a warning", func(h *hookOf) { h.ClientConfig.URL = at("/warn") }, false, "", "beware"},
		{"of the older version", func(h *hookOf) {
			h.ClientConfig.URL, h.AdmissionReviewVersions = at("/deny"), []string{"v9", "v1beta1"}
		}, false, "no ConfigMap", ""},
		{"of no known version", func(h *hookOf) { h.ClientConfig.URL, h.AdmissionReviewVersions = at("/deny"), []string{"v9"} }, false, "does not accept known AdmissionReview versions", ""},
		{"broken", func(h *hookOf) { h.ClientConfig.URL = at("/broken") }, false, `Internal error occurred: failed calling webhook "h.example.com": failed to call webhook: the server answered 500`, ""},
		{"broken and ignored", func(h *hookOf) { h.ClientConfig.URL, h.FailurePolicy = at("/broken"), &ignore }, false, "", ""},
		{"an answer to another question", func(h *hookOf) { h.ClientConfig.URL = at("/other-uid") }, false, "expected response.uid=", ""},
		{"slow", func(h *hookOf) { h.ClientConfig.URL, h.TimeoutSeconds = at("/slow"), &second }, false, "context deadline exceeded", ""},
		{"not trusted", func(h *hookOf) { h.ClientConfig.URL, h.ClientConfig.CABundle = at("/allow"), nil }, false, "certificate signed by unknown authority", ""},
		{"no side effects", func(h *hookOf) { h.ClientConfig.URL, h.SideEffects = at("/allow"), &none }, true, "", ""},
		{"side effects", func(h *hookOf) { h.ClientConfig.URL, h.SideEffects = at("/allow"), &some }, true, `admission webhook "h.example.com" does not support dry run`, ""},
		{"a condition not met", func(h *hookOf) {
			h.ClientConfig.URL, h.MatchConditions = at("/deny"), []admissionregistrationv1.MatchCondition{{Name: "john", Expression: "request.userInfo.username == 'john'"}}
		}, false, "", ""},
		{"other labels", func(h *hookOf) {
			h.ClientConfig.URL, h.ObjectSelector = at("/deny"), &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}, false, "", ""},
		{"no rules", func(h *hookOf) { h.ClientConfig.URL, h.Rules = at("/deny"), nil }, false, "", ""},
		{"a Service", func(h *hookOf) {
			h.ClientConfig.Service = &admissionregistrationv1.ServiceReference{Namespace: "law", Name: "judge", Path: new("/deny")}
		}, false, "no ConfigMap", ""},
		{"another port of a Service", func(h *hookOf) {
			h.ClientConfig.Service = &admissionregistrationv1.ServiceReference{Namespace: "law", Name: "judge", Port: new(int32(8080))}
		}, false, `no service port 8080 found for service "judge"`, ""},
		{"no Service", func(h *hookOf) {
			h.ClientConfig.Service = &admissionregistrationv1.ServiceReference{Namespace: "law", Name: "none"}
		}, false, `services "none" not found`, ""},
	} {
		h := hookOf{Name: "h.example.com", ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: trust}, Rules: configMaps, AdmissionReviewVersions: []string{"v1"}}
		c.change(&h)
		w := world{validating: {&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Webhooks: []hookOf{h}}}}
		judge(t, w, s.URL)
		warnings, err := New(w, policy.New(w, nil), nil).Validate(t.Context(), created(configMap(), c.dryRun))
		if err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want) || apierrors.ReasonForError(err) == metav1.StatusReasonUnknown) {
			t.Errorf("%s: %v", c.what, err)
		}
		if strings.Join(warnings, "") != c.warning {
			t.Errorf("%s: warnings %q", c.what, warnings)
		}
	}
}

// judge adds the Service law/judge, whose port 443 is the server.
func judge(t *testing.T, w world, at string) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(u.Port(), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	w[corev1.Resource("services")] = []runtime.Object{&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "law", Name: "judge"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}}}
	w[discoveryv1.Resource("endpointslices")] = []runtime.Object{&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "law", Name: "judge-1", Labels: map[string]string{discoveryv1.LabelServiceName: "judge"}},
		Ports:     []discoveryv1.EndpointPort{{Name: new("https"), Port: new(int32(port))}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false)}}, {Addresses: []string{"127.0.0.1"}}}}}
}

func TestMutate(t *testing.T) {
	s, trust := server(t, answers(nil))
	ignore := admissionregistrationv1.Ignore
	for _, c := range []struct {
		what  string
		paths []string
		again admissionregistrationv1.ReinvocationPolicyType
		fails *admissionregistrationv1.FailurePolicyType
		data  string
		err   string
	}{
		{"nothing", []string{"/allow"}, "", nil, "map[k:v]", ""},
		{"one", []string{"/label"}, "", nil, "map[k:v seen:1]", ""},
		{"one after the other", []string{"/more", "/label"}, "", nil, "map[k:v more:x seen:2]", ""},
		{"not asked again", []string{"/label", "/more"}, admissionregistrationv1.NeverReinvocationPolicy, nil, "map[k:v more:x seen:1]", ""},
		{"asked again", []string{"/label", "/more"}, admissionregistrationv1.IfNeededReinvocationPolicy, nil, "map[k:v more:x seen:3]", ""},
		{"no", []string{"/more", "/deny"}, "", nil, "map[k:v more:x]", "no ConfigMap"},
		{"a patch that does not fit", []string{"/nonsense"}, "", nil, "map[k:v]", "Internal error occurred: apply the patch"},
		{"broken and ignored", []string{"/broken", "/more"}, "", &ignore, "map[k:v more:x]", ""},
	} {
		conf := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
		for i, path := range c.paths {
			conf.Webhooks = append(conf.Webhooks, admissionregistrationv1.MutatingWebhook{Name: fmt.Sprintf("%d.example.com", i), Rules: configMaps, AdmissionReviewVersions: []string{"v1"}, ReinvocationPolicy: &c.again,
				FailurePolicy: c.fails, ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: trust, URL: new(strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + path)}})
		}
		w, cm := world{mutating: {conf}}, configMap()
		changed, _, err := New(w, policy.New(w, nil), nil).Mutate(t.Context(), created(cm, false), false)
		if err == nil && c.err != "" || err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v", c.what, err)
		}
		if got := fmt.Sprint(cm.Data); got != c.data || err == nil && changed != (got != "map[k:v]") {
			t.Errorf("%s: %s, changed %v", c.what, got, changed)
		}
	}
}
