package apiserver

import (
	"bytes"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
)

// TestFrames compares what is framed by hand with what the library reads.
func TestFrames(t *testing.T) {
	gvk := corev1.SchemeGroupVersion.WithKind("ConfigMap")
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "b", Labels: map[string]string{"x": "y"}}, Data: map[string]string{"k": "v"}}
	stored, err := api.EncodeStorage(cm)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := rawMessage(stored)
	if err != nil {
		t.Fatal(err)
	}
	for _, rev := range []int64{1, 9, 10, 12345, 1<<62 + 1} {
		b := frameObject(gvk, raw, rev)
		got, err := api.DecodeStorage(b)
		if err != nil || got.GetResourceVersion() != strconv.FormatInt(rev, 10) || got.GetName() != "a" || got.GetLabels()["x"] != "y" {
			t.Errorf("%d: %v %v", rev, got, err)
		}
		if n := len(appendVersion(nil, rev)); n != versionSize(rev) {
			t.Errorf("%d: size %d, said %d", rev, n, versionSize(rev))
		}
	}
	mine, err := encodeProtobuf(cm, gvk)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mine, stored) {
		t.Errorf("own envelope differs from the library's:\n%q\n%q", mine, stored)
	}
}

func FuzzRawMessage(f *testing.F) {
	stored, err := api.EncodeStorage(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Add([]byte("k8s\x00\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := rawMessage(b)
		if err == nil && len(raw) > len(b) {
			t.Error("message larger than its envelope")
		}
		_ = eachField(b, func(uint64, []byte) {})
	})
}

func FuzzContinue(f *testing.F) {
	token, err := encodeContinue("/registry/pods/ns/a\x00", "/registry/pods/", 7)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi94In0")
	f.Fuzz(func(t *testing.T, token string) {
		key, rev, err := decodeContinue(token, "/registry/pods/ns/")
		if err == nil && (rev == 0 || !bytes.HasPrefix([]byte(key), []byte("/registry/pods/ns/"))) {
			t.Errorf("token leads to %q at %d", key, rev)
		}
	})
}
