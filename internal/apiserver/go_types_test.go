package apiserver

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/managedfields"

	"minato.dev/minato/internal/api"
)

// TestGoTypesAgainstLibrary updates random objects of every kind, half of them by small changes and some with lists whose
// items are double or lack their keys, and wants the managed fields, or the refusal, that the library gives.
func TestGoTypesAgainstLibrary(t *testing.T) {
	draw := filler{rand.New(rand.NewPCG(3, 4))}
	refused, owned := 0, 0
	for _, kind := range api.Stored() {
		ours, theirs := newOwners(), newOwners()
		r := &resource{Resource: kind}
		subs := []*api.Subresource{nil, kind.Sub("status")}
		for round := range 12 {
			sub := subs[round%2]
			if round%2 == 1 && sub == nil {
				continue
			}
			fast, err := ours.of(r, sub, false)
			if err != nil {
				t.Fatal(err)
			}
			slow, err := theirs.of(r, sub, true) // the one for applied configurations is wholly the library's
			if err != nil {
				t.Fatal(err)
			}
			old, next := draw.object(t, kind), draw.object(t, kind)
			if round%4 < 2 {
				next = copyOf(old)
				draw.change(reflect.ValueOf(next).Elem())
			}
			for _, o := range []api.Object{old, next} {
				o.GetObjectKind().SetGroupVersionKind(kind.Storage)
				o.SetManagedFields(nil)
			}
			empty, err := kind.New()
			if err != nil {
				t.Fatal(err)
			}
			empty.GetObjectKind().SetGroupVersionKind(kind.Storage)
			first, err := updated(slow, empty, copyOf(old), "first")
			if err == nil {
				old = first.(api.Object)
			}
			got, gotErr := updated(fast, copyOf(old), copyOf(next), "second")
			want, wantErr := updated(slow, copyOf(old), copyOf(next), "second")
			if (gotErr == nil) != (wantErr == nil) {
				t.Fatalf("%s: %v, the library %v", kind.Storage, gotErr, wantErr)
			}
			if gotErr != nil {
				refused++
				continue
			}
			a, b := timeless(got), timeless(want)
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%s:\n got %s\nwant %s", kind.Storage, shownFields(a), shownFields(b))
			}
			owned += len(b)
		}
	}
	if refused < 3 || owned < 500 {
		t.Errorf("%d refusals and %d managers are too few to prove anything", refused, owned)
	}
}

// updated is Update; where the library gives up on bytes that are no JSON, as only a client of protobuf can send them, that is
// an error too.
func updated(m *managedfields.FieldManager, old, next runtime.Object, manager string) (_ runtime.Object, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return m.Update(old, next, manager)
}

// timeless returns the managed fields without their times, which are the present.
func timeless(o runtime.Object) []metav1.ManagedFieldsEntry {
	out := o.(api.Object).GetManagedFields()
	for i := range out {
		out[i].Time = nil
	}
	return out
}

func shownFields(all []metav1.ManagedFieldsEntry) (out []string) {
	for _, m := range all {
		out = append(out, fmt.Sprintf("%s %s %s", m.Manager, m.Operation, m.FieldsV1.Raw))
	}
	return out
}

var _ managedfields.TypeConverter = goTypes{}

// filler fills Go types of the API at random. Its strings are few, so that keys of lists meet.
type filler struct{ *rand.Rand }

func (f filler) object(t *testing.T, kind *api.Resource) api.Object {
	t.Helper()
	o, err := api.Scheme().New(kind.Storage)
	if err != nil {
		t.Fatal(err)
	}
	f.fill(reflect.ValueOf(o).Elem(), 0)
	return o.(api.Object)
}

func (f filler) raw() []byte { return [][]byte{nil, []byte(`{}`), []byte(`{"a":{"b":1}}`)}[f.IntN(3)] }

const deepest = 9

func (f filler) fill(v reflect.Value, depth int) {
	switch x := v.Addr().Interface().(type) {
	case *metav1.Time:
		*x = metav1.NewTime(time.Unix(int64(f.IntN(3))*1000, 0))
		return
	case *metav1.MicroTime:
		*x = metav1.NewMicroTime(time.Unix(int64(f.IntN(3))*1000, 0))
		return
	case *quantity.Quantity:
		*x = *quantity.NewQuantity(int64(f.IntN(3)), quantity.DecimalSI)
		return
	case *intstr.IntOrString:
		*x = []intstr.IntOrString{intstr.FromInt32(0), intstr.FromInt32(7), intstr.FromString("web")}[f.IntN(3)]
		return
	case *runtime.RawExtension:
		x.Raw = f.raw()
		return
	case *apiextensionsv1.JSON:
		x.Raw = f.raw()
		return
	case *metav1.FieldsV1:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString([]string{"", "a", "b", "c"}[f.IntN(4)])
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.IntN(3)))
	case reflect.Float64:
		v.SetFloat(float64(f.IntN(3)))
	case reflect.Uint8:
		v.SetUint(uint64(f.IntN(256)))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		if depth < deepest && f.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), depth+1)
		}
	case reflect.Slice:
		if n := f.IntN(4); depth < deepest && n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
			for i := range n - 1 {
				f.fill(v.Index(i), depth+1)
			}
		}
	case reflect.Map:
		if n := f.IntN(3); depth < deepest && n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n - 1 {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				f.fill(key, depth+1)
				f.fill(value, depth+1)
				v.SetMapIndex(key, value)
			}
		}
	}
}

// change fills one place of v anew, somewhere below.
func (f filler) change(v reflect.Value) {
	for depth := 0; ; depth++ {
		switch {
		case v.Kind() == reflect.Pointer && !v.IsNil():
			v = v.Elem()
		case v.Kind() == reflect.Slice && v.Len() > 0 && f.IntN(4) > 0:
			v = v.Index(f.IntN(v.Len()))
		case v.Kind() == reflect.Struct && v.NumField() > 0 && v.Type().Field(0).IsExported() && f.IntN(12) > 0:
			i := f.IntN(v.NumField())
			if !v.Type().Field(i).IsExported() {
				return
			}
			v = v.Field(i)
		default:
			f.fill(v, depth)
			return
		}
	}
}
