package patch

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDocuments(t *testing.T) {
	for _, c := range []struct {
		name, doc, body, want string
		json                  bool
		code                  int
		unknown               string
	}{
		{name: "merge", doc: `{"a":1,"b":2}`, body: `{"a":null,"c":3}`, want: `{"b":2,"c":3}`},
		{name: "merge twice the field", doc: `{}`, body: `{"a":1,"a":2}`, want: `{"a":2}`, unknown: `duplicate field "a"`},
		{name: "merge no object", doc: `{}`, body: `[`, code: 400},
		{name: "JSON", doc: `{"a":1}`, body: `[{"op":"replace","path":"/a","value":2}]`, want: `{"a":2}`, json: true},
		{name: "JSON unknown field", doc: `{"a":1}`, body: `[{"op":"remove","path":"/a","x":1}]`, want: `{}`, json: true, unknown: `json patch unknown field "[0].x"`},
		{name: "JSON failed test", doc: `{"a":1}`, body: `[{"op":"test","path":"/a","value":2}]`, json: true, code: 422},
		{name: "JSON no list", doc: `{}`, body: `{}`, json: true, code: 400},
		{name: "JSON too long", doc: `{}`, body: "[" + strings.Repeat(`{"op":"add","path":"/a","value":1},`, maxOperations) + `{"op":"add","path":"/a","value":1}]`, json: true, code: 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Merge
			if c.json {
				f = JSON
			}
			got, unknown, err := f([]byte(c.doc), []byte(c.body), true)
			if c.code != 0 {
				if st, ok := err.(apierrors.APIStatus); !ok || int(st.Status().Code) != c.code {
					t.Fatalf("%v, want %d", err, c.code)
				}
				return
			}
			if err != nil || string(got) != c.want {
				t.Errorf("%s %v", got, err)
			}
			if c.unknown != "" && (len(unknown) != 1 || unknown[0].Error() != c.unknown) {
				t.Errorf("unknown %v", unknown)
			}
		})
	}
}

func TestStrategic(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "x"}, {Name: "b", Image: "y"}}}}
	into := &corev1.Pod{}
	unknown, err := Strategic(pod, []byte(`{"spec":{"containers":[{"name":"b","image":"z"},{"name":"a","$patch":"delete"}],"no":1}}`), into, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(into.Spec.Containers) != 1 || into.Spec.Containers[0].Image != "z" {
		t.Errorf("merged %v", into.Spec.Containers)
	}
	if len(unknown) != 1 || unknown[0].Error() != `unknown field "spec.no"` {
		t.Errorf("unknown %v", unknown)
	}
	if len(pod.Spec.Containers) != 2 {
		t.Error("the original was changed")
	}
	if _, err = Strategic(pod, []byte(`{"spec":{"containers":[{"image":"z"}]}}`), &corev1.Pod{}, true); err == nil {
		t.Error("a list item without its key was merged")
	}
}

// TestCopiesEnd: a patch that doubles a document again and again is refused before it has eaten the memory.
func TestCopiesEnd(t *testing.T) {
	var steps []string
	for range 200 {
		steps = append(steps, `{"op":"copy","from":"/a","path":"/a/-"}`)
	}
	_, _, err := JSON([]byte(`{"a":[["0123456789"]]}`), []byte("["+strings.Join(steps, ",")+"]"), false)
	if apierrors.ReasonForError(err) != metav1.StatusReasonInvalid {
		t.Errorf("200 doublings: %v", err)
	}
}
