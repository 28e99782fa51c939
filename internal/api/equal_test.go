package api_test

import (
	"math/rand"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"minato.dev/minato/internal/api"
)

// TestEqual holds Equal against upstream's on objects of all kinds of which one field, somewhere, is another.
func TestEqual(t *testing.T) {
	src := rand.New(rand.NewSource(1))
	fill := randfill.New().RandSource(src).NilChance(.4).NumElements(0, 2).MaxDepth(12).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = resource.MustParse([]string{"0", "1", "1000m", "1Gi", "1024Mi"}[c.Intn(5)])
		},
		func(at *metav1.Time, c randfill.Continue) {
			*at = metav1.Time{Time: time.Unix(int64(c.Intn(2)), 0).In([]*time.Location{time.UTC, time.Local}[c.Intn(2)])}
		},
		func(at *metav1.MicroTime, c randfill.Continue) {
			*at = metav1.MicroTime{Time: time.Unix(int64(c.Intn(2)), 5)}
		},
		func(f *metav1.FieldsV1, c randfill.Continue) {
			*f = *metav1.NewFieldsV1([]string{"", "{}", `{"f:a":{}}`}[c.Intn(3)])
		},
		func(x *runtime.RawExtension, c randfill.Continue) { x.Raw = []byte{byte(c.Intn(3))} },
	)
	same, other := 0, 0
	for _, r := range api.All() {
		for range 30 {
			obj, err := r.New()
			if err != nil {
				t.Fatal(err)
			}
			fill.Fill(obj)
			next := obj.DeepCopyObject()
			if src.Intn(4) > 0 {
				change(src, fill, reflect.ValueOf(next).Elem())
			}
			want := equality.Semantic.DeepEqual(obj, next)
			if got := api.Equal(obj, next); got != want {
				t.Fatalf("%T: %v, want %v:\n%+v\n%+v", obj, got, want, obj, next)
			}
			if want {
				same++
			} else {
				other++
			}
		}
	}
	if same < 300 || other < 300 {
		t.Errorf("%d alike, %d not: too few of one", same, other)
	}
	if api.Equal(nil, 1) || !api.Equal(nil, nil) || api.Equal(1, "1") || !api.Equal([]string(nil), []string{}) {
		t.Error("values that are no objects")
	}
}

// change fills one part of v anew.
func change(src *rand.Rand, fill *randfill.Filler, v reflect.Value) {
	for {
		switch {
		case v.Kind() == reflect.Struct && v.NumField() > 0 && v.Field(0).CanSet() && src.Intn(8) > 0:
			v = v.Field(src.Intn(v.NumField()))
			continue
		case v.Kind() == reflect.Slice && v.Len() > 0 && src.Intn(4) > 0:
			v = v.Index(src.Intn(v.Len()))
			continue
		case v.Kind() == reflect.Pointer && !v.IsNil() && src.Intn(4) > 0:
			v = v.Elem()
			continue
		}
		if v.CanSet() && v.Kind() != reflect.Interface {
			fill.Fill(v.Addr().Interface())
		}
		return
	}
}
