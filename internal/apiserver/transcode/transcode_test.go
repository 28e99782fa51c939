package transcode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/transcode"
)

// filler makes random objects: every field is set now and then, to values that JSON or protobuf treat apart.
type filler struct{ *rand.Rand }

var texts = []string{"", "a", "web-1", `"quoted" \ <&>`, "tab\tline\n\x01", "grüße 港\u2028", "broken \xff utf-8", strings.Repeat("long ", 40)}

func (f filler) fill(v reflect.Value, depth int) {
	if depth > 9 || f.IntN(3) == 0 {
		return
	}
	switch v.Interface().(type) {
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.Unix(f.Int64N(4e9)-1e9, 0)))
		return
	case metav1.MicroTime:
		v.Set(reflect.ValueOf(metav1.NewMicroTime(time.Unix(f.Int64N(4e9), f.Int64N(1e9)))))
		return
	case metav1.Duration:
		v.Set(reflect.ValueOf(metav1.Duration{Duration: time.Duration(f.Int64N(1e15))}))
		return
	case resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse([]string{"0", "1", "250m", "1.5Gi", "3e9", "-7", "100Mi", "0.1"}[f.IntN(8)])))
		return
	case intstr.IntOrString:
		v.Set(reflect.ValueOf([]intstr.IntOrString{intstr.FromInt32(80), intstr.FromString("http<"), intstr.FromInt32(-1), intstr.FromString("")}[f.IntN(4)]))
		return
	case metav1.FieldsV1:
		v.Set(reflect.ValueOf(metav1.FieldsV1{Raw: []byte([]string{`{}`, `{"f:a":{"k:{\"n\":\"x\"}":{}}}`, `{"f:a b":{}}`, `{"f:<":{}}`}[f.IntN(4)])}))
		return
	case runtime.RawExtension:
		v.Set(reflect.ValueOf(runtime.RawExtension{Raw: []byte([]string{`{}`, `{ "a": "<b>" }`, `[1, 2]`, `"text"`}[f.IntN(4)])}))
		return
	}
	f.fillKind(v, depth)
}

func (f filler) fillKind(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(texts[f.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Int8, reflect.Int16:
		v.SetInt([]int64{0, 1, -1, 443, 1<<31 - 1, -1 << 31}[f.IntN(6)])
	case reflect.Uint8:
		v.SetUint(uint64(f.IntN(256)))
	case reflect.Float64:
		v.SetFloat(f.Float64())
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), f.IntN(4), 4))
		for i := range v.Len() {
			f.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range f.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(key, depth)
			f.fill(value, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(v.Field(i), depth+1)
			}
		}
	}
}

// compare renders a message both ways.
func compare(t *testing.T, kind string, plan *transcode.Plan, typ reflect.Type, raw []byte) (usual bool) {
	t.Helper()
	got, err := plan.Append([]byte("before"), raw, "4711")
	if string(got[:6]) != "before" {
		t.Fatalf("%s: what was there before is changed", kind)
	}
	if errors.Is(err, transcode.ErrUnusual) {
		return false
	}
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	obj := reflect.New(typ).Interface()
	if err := obj.(interface{ Unmarshal([]byte) error }).Unmarshal(raw); err != nil {
		t.Fatalf("%s: renders what cannot be decoded: %v", kind, err)
	}
	obj.(metav1.Object).SetResourceVersion("4711")
	want, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[6:], want) {
		at := 0
		for at < min(len(got)-6, len(want)) && got[6+at] == want[at] {
			at++
		}
		t.Fatalf("%s: differs at %d:\n got ...%.200s\nwant ...%.200s", kind, at, got[6+max(0, at-40):], want[max(0, at-40):])
	}
	return true
}

// TestSameAsEncoding: for random objects of every stored kind, Append is decoding and encoding/json.
func TestSameAsEncoding(t *testing.T) {
	f := filler{rand.New(rand.NewPCG(1, 2))}
	for _, r := range api.Stored() {
		obj, err := api.Scheme().New(r.Storage)
		if err != nil {
			t.Fatal(err)
		}
		typ := reflect.TypeOf(obj).Elem()
		plan, err := transcode.Compile(typ)
		if err != nil {
			t.Errorf("%s: %v", r.Storage, err)
			continue
		}
		usual, all := 0, 40
		for range all {
			obj := reflect.New(typ)
			f.fill(obj.Elem().FieldByName("ObjectMeta"), 0)
			for _, name := range []string{"Spec", "Status"} {
				if v := obj.Elem().FieldByName(name); v.IsValid() {
					f.fillKind(v, 0)
				}
			}
			f.fillKind(obj.Elem(), 0)
			m, ok := obj.Interface().(interface{ Marshal() ([]byte, error) })
			if !ok {
				t.Logf("%s is not protobuf", r.Storage)
				break
			}
			raw, err := m.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if compare(t, r.Storage.String(), plan, typ, raw) {
				usual++
			}
		}
		t.Logf("%s: %d of %d usual", r.Storage, usual, all)
		if usual == 0 {
			t.Errorf("%s: no object is usual", r.Storage)
		}
	}
}

// FuzzAppend: on any bytes it neither panics nor renders anything but what decoding gives.
func FuzzAppend(f *testing.F) {
	plan, err := transcode.Compile(reflect.TypeFor[corev1.Pod]())
	if err != nil {
		f.Fatal(err)
	}
	fill := filler{rand.New(rand.NewPCG(3, 4))}
	for range 20 {
		p := &corev1.Pod{}
		fill.fillKind(reflect.ValueOf(p).Elem(), 0)
		raw, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0x0a, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) { compare(t, "Pod", plan, reflect.TypeFor[corev1.Pod](), raw) })
}
