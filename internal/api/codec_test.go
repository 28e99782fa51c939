package api

import (
	"slices"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api/apitest"
)

func TestBodiesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, body, media string
		validation        FieldValidation
		want              string
	}{
		{"empty", ``, JSON, Warn, `the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)`},
		{"not JSON", `{"metadata":`, JSON, Warn, `the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input ({"metadata":)`},
		{"an array", `[]`, JSON, Warn, `couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type`},
		{"other kind", `{"apiVersion":"v1","kind":"ConfigMap"}`, JSON, Warn, `ConfigMap in version "v1" cannot be handled as a Pod: converting (v1.ConfigMap) to (core.Pod): unknown conversion`},
		{"other group", `{"apiVersion":"apps/v1","kind":"Deployment"}`, JSON, Warn, `Deployment in version "v1" cannot be handled as a Pod: converting (v1.Deployment) to (core.Pod): unknown conversion`},
		{"unknown kind", `{"apiVersion":"v1","kind":"Nonsense"}`, JSON, Warn, `no kind "Nonsense" is registered for version "v1"`},
		{"wrong type", `{"spec":{"containers":"x"}}`, JSON, Warn, `Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container`},
		{"unknown field", `{"spec":{"containerz":[]}}`, JSON, Strict, `Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containerz"`},
		{"duplicate field", `{"metadata":{"name":"a","name":"b"}}`, JSON, Strict, `Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "metadata.name"`},
		{"bad quantity", `{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}`, JSON, Warn, `quantities must match the regular expression`},
		{"broken protobuf", "k8s\x00\xff\xff", Protobuf, Warn, `Pod`},
		{"not protobuf", `{}`, Protobuf, Warn, `provided data does not appear to be a protobuf message`},
		{"broken YAML", "a: [", YAML, Warn, `yaml`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := coreResource("pods").Decode([]byte(c.body), c.media, c.validation)
			if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant BadRequest with %s", err, c.want)
			}
		})
	}
	_, _, err := coreResource("pods").Decode([]byte(`{}`), "text/plain", Warn)
	if apierrors.ReasonForError(err) != metav1.StatusReasonUnsupportedMediaType {
		t.Errorf("error %v, want UnsupportedMediaType", err)
	}
}

func TestFieldValidation(t *testing.T) {
	const body = `{"metadata":{"name":"a"},"spec":{"x":1,"hostname":"a","hostname":"b"}}`
	const yaml = "metadata:\n  name: a\nspec:\n  x: 1\n  hostname: a\n  hostname: b\n"
	r := coreResource("pods")
	_, warnings, err := r.Decode([]byte(body), JSON, Warn)
	if err != nil || !slices.Equal(warnings, []string{`unknown field "spec.x"`, `duplicate field "spec.hostname"`}) {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
	_, warnings, err = r.Decode([]byte(yaml), YAML, Warn)
	if err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], `line 6: key "hostname" already set in map`) {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
	_, warnings, err = r.Decode([]byte(body), JSON, Ignore)
	if err != nil || len(warnings) != 0 {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
	_, warnings, err = r.Decode([]byte(body), JSON, "")
	if err != nil || len(warnings) != 2 {
		t.Errorf("without a directive: warnings %q, error %v", warnings, err)
	}
}

func TestAllMediaTypesMeanTheSame(t *testing.T) {
	r := coreResource("configmaps")
	want := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"k": "v"}}
	for _, media := range []string{JSON, YAML, Protobuf} {
		body, err := Encode(want, media)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := r.Decode(body, media, Strict)
		if err != nil || !sameValue(got, runtime.Object(want)) {
			t.Errorf("%s: %+v (%v)", media, got, err)
		}
	}
}

func TestAutoscalerVersionsShareStorage(t *testing.T) {
	v1 := groupResource("autoscaling", "v1", "horizontalpodautoscalers")
	body := `{"metadata":{"name":"h"},"spec":{"maxReplicas":5,"targetCPUUtilizationPercentage":70,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}}`
	obj := created(t, v1, "ns", body)
	hub, ok := obj.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok || *hub.Spec.Metrics[0].Resource.Target.AverageUtilization != 70 {
		t.Fatalf("%T %+v", obj, obj)
	}
	back, err := Convert(hub, v1.GroupVersion)
	if err != nil {
		t.Fatal(err)
	}
	old := back.(*autoscalingv1.HorizontalPodAutoscaler)
	if *old.Spec.TargetCPUUtilizationPercentage != 70 || old.APIVersion != "autoscaling/v1" || old.Kind != "HorizontalPodAutoscaler" {
		t.Errorf("%+v", old)
	}
}

func TestEventsOfBothGroupsAreOne(t *testing.T) {
	r := groupResource("events.k8s.io", "v1", "events")
	body := `{"metadata":{"name":"e"},"eventTime":"2026-01-02T03:04:05.000006Z","reportingController":"c.io/x","reportingInstance":"i","action":"Do","reason":"Done","note":"said","type":"Normal","regarding":{"kind":"Pod","namespace":"ns","name":"p"}}`
	e, ok := created(t, r, "ns", body).(*corev1.Event)
	if !ok || e.Message != "said" || e.InvolvedObject.Name != "p" {
		t.Fatalf("%+v", e)
	}
	back, err := Convert(e, r.GroupVersion)
	if err != nil || back.(*eventsv1.Event).Note != "said" {
		t.Errorf("%+v (%v)", back, err)
	}
	field, value, err := r.FieldLabel("regarding.name", "p")
	if err != nil || field != "involvedObject.name" || value != "p" {
		t.Errorf("regarding.name is %q=%q (%v)", field, value, err)
	}
}

// refusedUpstream are fields that upstream computes and yet refuses in selectors.
var refusedUpstream = map[string]bool{"replicasets status.replicas": true, "podcertificaterequests metadata.namespace": true}

func TestSelectableFieldsCanBeNamed(t *testing.T) {
	for _, r := range All() {
		if !r.Stored() {
			continue
		}
		fields := []string{"metadata.name"}
		if r.Namespaced {
			fields = append(fields, "metadata.namespace")
		}
		obj, err := Scheme().New(r.Storage)
		if err != nil {
			t.Fatal(err)
		}
		if r.Fields != nil && r.GroupVersion.Group != "events.k8s.io" {
			for f := range r.Fields(obj) {
				fields = append(fields, f)
			}
		}
		for _, f := range fields {
			if _, _, err := r.FieldLabel(f, "x"); err != nil && !refusedUpstream[r.Name+" "+f] {
				t.Errorf("%s: %s: %v", r.GVR(), f, err)
			}
		}
		if _, _, err := r.FieldLabel("spec.nonsense", "x"); err == nil {
			t.Errorf("%s: any field can be selected", r.GVR())
		}
	}
	if f, _, err := coreResource("pods").FieldLabel("spec.host", "n"); err != nil || f != "spec.nodeName" {
		t.Errorf("spec.host is %q (%v)", f, err)
	}
}

func TestValuesOfAnotherServerBecomeCanonical(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	raw, err := EncodeStorage(pod) // without defaults
	if err != nil {
		t.Fatal(err)
	}
	r := coreResource("pods")
	value, err := r.Canonical(raw)
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.Index(value)
	if err != nil || x.Fields["spec.restartPolicy"] != "Always" {
		t.Errorf("%+v (%v)", x, err)
	}
	crd := groupResource(apiextensionsGroup, "v1", "customresourcedefinitions")
	old := `{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1beta1","metadata":{"name":"ps.g.io"},"spec":{"group":"g.io","version":"v1","names":{"plural":"ps","kind":"P"},"scope":"Cluster","validation":{"openAPIV3Schema":{"type":"object"}}}}`
	value, err = crd.Canonical([]byte(old))
	if err != nil || !strings.Contains(string(value), `"preserveUnknownFields":true`) {
		t.Errorf("%s (%v)", value, err)
	}
	if obj, err := crd.DecodeStorage(value); err != nil || obj.GetObjectKind().GroupVersionKind() != crd.Storage {
		t.Errorf("%v (%v)", obj, err)
	}
}

func TestGatesHaveUpstreamsDefaults(t *testing.T) {
	for name, want := range map[string]bool{
		"ClusterTrustBundle": true, "PodCertificateRequest": true, "StorageVersionMigrator": true, "DRADeviceTaintRules": true,
		"CoordinatedLeaderElection": false, "InPlacePodVerticalScaling": true,
	} {
		if gate(name) != want {
			t.Errorf("%s is %v", name, !want)
		}
	}
}

func TestDecodeAsReadsOptions(t *testing.T) {
	want := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
	obj, _, err := DecodeAs(want, []byte(`{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":5}`), JSON, Strict)
	if err != nil || *obj.(*metav1.DeleteOptions).GracePeriodSeconds != 5 {
		t.Errorf("%+v (%v)", obj, err)
	}
}

// FuzzDecode decodes any bytes as any kind, in each encoding, with each strictness. What a byte can become in memory is
// bounded: "{}" in a list is a whole container.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"a"}}`), 0, 0)
	f.Add([]byte(`{"spec":{"containers":[{},{},{},{},{},{},{},{}]}}`), 0, 0)
	f.Add([]byte("metadata: {name: a}"), 1, 3)
	f.Add([]byte("a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]"), 1, 5)
	f.Add([]byte("k8s\x00\n\x00"), 2, 1)
	f.Add([]byte("k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x05\n\x03\n\x01p"), 2, 2)
	all := Stored()
	f.Fuzz(func(t *testing.T, body []byte, media, kind int) {
		if len(body) > 64<<10 {
			return
		}
		r := all[uint(kind)%uint(len(all))]
		check := []FieldValidation{Warn, Strict, Ignore}[uint(media)/3%3]
		apitest.Bounded(t, 4<<20+8<<10*len(body), func() {
			obj, _, err := r.Decode(body, []string{JSON, YAML, Protobuf}[uint(media)%3], check)
			if err != nil {
				if !apierrors.IsBadRequest(err) {
					t.Errorf("error %v, want BadRequest", err)
				}
				return
			}
			if _, err := EncodeStorage(obj); err != nil {
				t.Errorf("decoded but cannot be stored: %v", err)
			}
		})
	})
}
