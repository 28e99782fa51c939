package api

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

func request(r *Resource, ns string) *Request {
	return &Request{
		GroupVersion: r.GroupVersion, Namespace: ns, UID: "11111111-2222-3333-4444-555555555555",
		Now:     metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		Random:  func() string { return "abcde" },
		Allowed: func(Access) error { return nil },
	}
}

// created is the object that a POST of body makes.
func created(t testing.TB, r *Resource, ns, body string) Object {
	t.Helper()
	obj, _, err := r.Decode([]byte(body), JSON, Warn)
	if err != nil {
		t.Fatalf("%s: decode: %v", r.GVR(), err)
	}
	q := request(r, ns)
	if err := r.Begin(q, obj); err != nil {
		t.Fatalf("%s: begin: %v", r.GVR(), err)
	}
	out, _, err := r.BeforeCreate(context.Background(), q, obj)
	if err != nil {
		t.Fatalf("%s: create: %v", r.GVR(), err)
	}
	return out
}

func namespaceOf(r *Resource) string {
	if r.Namespaced {
		return stubNamespace
	}
	return ""
}

// stubBody completes a stub of upstream's table where its test fills in what the server would allocate.
func stubBody(s stub) string {
	switch s.gvr.Resource {
	case "services":
		return strings.Replace(s.json, `"spec": {`, `"spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", `, 1)
	}
	return s.json
}

// TestStubsAreStoredAsUpstreamDoes goes through every kind of upstream's table that we serve.
func TestStubsAreStoredAsUpstreamDoes(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range stubs(t) {
		r := Find(s.gvr)
		if r == nil {
			continue
		}
		t.Run(s.gvr.GroupVersion().String()+"/"+s.gvr.Resource, func(t *testing.T) {
			seen[s.gvr.String()] = true
			obj := created(t, r, namespaceOf(r), stubBody(s))
			if got := r.Key(obj.GetNamespace(), obj.GetName()); got != s.path {
				t.Errorf("key %q, want %q", got, s.path)
			}
			want := s.gvk
			if want.Empty() {
				want = r.GVK()
			}
			value, err := EncodeStorage(obj)
			if err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, r, obj, value)
			if r.Storage.Kind != want.Kind || (s.gvk.Version != "" && r.Written() != want) {
				t.Errorf("storage version %s, upstream's table says %s", r.Written(), want)
			}
		})
	}
	for _, r := range All() {
		if r.Stored() && !seen[r.GVR().String()] {
			t.Errorf("%s is not in upstream's table", r.GVR())
		}
	}
}

func checkRoundTrip(t *testing.T, r *Resource, obj Object, value []byte) {
	t.Helper()
	if !jsonStored(r.Storage.Group) {
		var b bytes.Buffer
		if err := protobuf.NewSerializer(Scheme(), Scheme()).Encode(obj, &b); err != nil || !bytes.Equal(b.Bytes(), value) {
			t.Errorf("value differs from upstream's serializer (%v)", err)
		}
	}
	back, err := r.DecodeStorage(value)
	if err != nil {
		t.Fatal(err)
	}
	again, err := EncodeStorage(back.DeepCopyObject())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, value) {
		t.Errorf("a round trip changes the value:\n%q\n%q", value, again)
	}
	if !jsonStored(r.Storage.Group) && !sameValue(obj, runtime.Object(back)) {
		t.Errorf("decoded object differs:\n%#v\n%#v", obj, back)
	}
}
