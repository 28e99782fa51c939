package api

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	exact "sigs.k8s.io/json"
)

// The media types that bodies come in and answers go out in.
const (
	JSON     = "application/json"
	YAML     = "application/yaml"
	Protobuf = "application/vnd.kubernetes.protobuf"
)

// New returns an empty object of this version's type.
func (r *Resource) New() (runtime.Object, error) { return Scheme().New(r.GVK()) }

// NewList returns an empty list of this version's type.
func (r *Resource) NewList() (runtime.Object, error) {
	return Scheme().New(r.GroupVersion.WithKind(r.ListKind))
}

// Default fills the fields that obj, of any served version, leaves out.
func Default(obj runtime.Object) { Scheme().Default(obj) }

// Convert returns obj as its kind in gv, with apiVersion and kind set. The result shares memory with obj.
func Convert(obj runtime.Object, gv schema.GroupVersion) (runtime.Object, error) {
	kinds, _, err := Scheme().ObjectKinds(obj)
	if err != nil {
		return nil, fmt.Errorf("convert %T to %s: %w", obj, gv, err)
	}
	for _, k := range kinds {
		if k.GroupVersion() == gv {
			name(obj, k)
			return obj, nil
		}
	}
	mid, err := Internal(obj)
	if err != nil {
		return nil, err
	}
	out, err := Scheme().UnsafeConvertToVersion(mid, gv)
	if err != nil {
		return nil, fmt.Errorf("convert %T to %s: %w", obj, gv, err)
	}
	return out, nil
}

// name sets apiVersion and kind, without touching an object that has them: it may be shared.
func name(obj runtime.Object, gvk schema.GroupVersionKind) {
	if k := obj.GetObjectKind(); k.GroupVersionKind() != gvk {
		k.SetGroupVersionKind(gvk)
	}
}

// Internal returns obj as upstream's internal type, which validation and admission speak of. The result shares memory
// with obj: copy before changing either.
func Internal(obj runtime.Object) (runtime.Object, error) {
	kinds, _, err := Scheme().ObjectKinds(obj)
	if err != nil {
		return nil, fmt.Errorf("convert %T to its internal type: %w", obj, err)
	}
	gv := schema.GroupVersion{Group: kinds[0].Group, Version: runtime.APIVersionInternal}
	out, err := Scheme().UnsafeConvertToVersion(obj, gv)
	if err != nil {
		return nil, fmt.Errorf("convert %T to its internal type: %w", obj, err)
	}
	return out, nil
}

// Hub turns obj, of any served version, into the type that etcd holds. It goes through the internal type even when the
// version is already the right one, because conversion has effects of its own (Secret.stringData moves into data).
// apiVersion and kind of the result are those of the storage version. obj must not be used afterwards.
func (r *Resource) Hub(obj runtime.Object) (Object, error) {
	mid, err := Internal(obj)
	if err != nil {
		return nil, err
	}
	out, err := Scheme().UnsafeConvertToVersion(mid, r.Storage.GroupVersion())
	if err != nil {
		return nil, fmt.Errorf("convert %T to %s: %w", obj, r.Storage, err)
	}
	hub, ok := out.(Object)
	if !ok {
		return nil, fmt.Errorf("%T has no metadata", out)
	}
	return hub, nil
}

// FieldValidation says what becomes of unknown and duplicate fields in a request body.
type FieldValidation string

// The values of the query parameter fieldValidation; empty means Warn.
const (
	Strict FieldValidation = "Strict"
	Warn   FieldValidation = "Warn"
	Ignore FieldValidation = "Ignore"
)

// serializers of bodies, each in a lenient and a strict form.
type serializers struct{ json, strictJSON, yaml, strictYAML, proto runtime.Serializer }

func newSerializers(s *runtime.Scheme) serializers {
	text := func(yaml, strict bool) runtime.Serializer {
		return kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, s, s, kjson.SerializerOptions{Yaml: yaml, Strict: strict})
	}
	return serializers{text(false, false), text(false, true), text(true, false), text(true, true), protobuf.NewSerializer(s, s)}
}

// For returns the serializer of a media type, nil if the type is none of ours.
func (s serializers) For(media string, strict bool) runtime.Serializer {
	switch {
	case media == JSON && strict:
		return s.strictJSON
	case media == JSON:
		return s.json
	case media == YAML && strict:
		return s.strictYAML
	case media == YAML:
		return s.yaml
	case media == Protobuf:
		return s.proto
	}
	return nil
}

// Decode reads the body of a write to r, or to a subresource whose body is of r's kind: checks its fields as v says,
// fills defaults and converts to the storage type. The warnings belong into Warning headers. Errors are
// *apierrors.StatusError: BadRequest for what does not parse or is of another kind or version, and
// UnsupportedMediaType for a media type that is not JSON, YAML or Protobuf.
func (r *Resource) Decode(body []byte, media string, v FieldValidation) (Object, []string, error) {
	obj, warnings, err := DecodeAs(r.GVK(), body, media, v)
	if err != nil {
		return nil, nil, err
	}
	hub, err := r.Hub(obj)
	if err != nil {
		return nil, nil, apierrors.NewBadRequest(err.Error())
	}
	return hub, warnings, nil
}

// DecodeAs reads a body that must be of kind want in any form that Decode takes, with defaults filled, in want's own
// version. It serves kinds that are not stored (DeleteOptions, Binding, Eviction, Scale, TokenRequest ...).
func DecodeAs(want schema.GroupVersionKind, body []byte, media string, v FieldValidation) (runtime.Object, []string, error) {
	ser := bodies().For(media, v != Ignore)
	if ser == nil {
		return nil, nil, unsupportedMedia(media)
	}
	into, err := Scheme().New(want)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	if media == JSON && plainJSON(want, body, into, v != Ignore) {
		Default(into)
		return into, nil, nil
	}
	obj, got, err := ser.Decode(body, &want, nil)
	var warnings []string
	if strict, ok := runtime.AsStrictDecodingError(err); ok && obj != nil {
		if v == Strict {
			return nil, nil, decodeError(want, got, err, body)
		}
		warnings, err = fieldWarnings(strict.Errors()), nil
	}
	if err != nil {
		return nil, nil, decodeError(want, got, err, body)
	}
	if *got != want {
		if err := otherKind(want, *got, obj, into); err != nil {
			return nil, nil, err
		}
	}
	Default(obj)
	return obj, warnings, nil
}

// plainJSON reads a body that is of kind want and has nothing amiss, as nearly all have, in one go. The serializer reads it
// once before, to see of what kind it is; where this says no, it has more to say.
func plainJSON(want schema.GroupVersionKind, body []byte, into runtime.Object, strict bool) bool {
	var amiss []error
	var err error
	if strict {
		amiss, err = exact.UnmarshalStrict(body, into)
	} else {
		err = exact.UnmarshalCaseSensitivePreserveInts(body, into)
	}
	return err == nil && len(amiss) == 0 && into.GetObjectKind().GroupVersionKind() == want
}

// otherKind refuses a well-formed object of another kind or version: first what is no form of the kind at all.
func otherKind(want, got schema.GroupVersionKind, obj, into runtime.Object) error {
	is, err := Internal(obj)
	if err != nil {
		is = obj
	}
	must, err := Internal(into)
	if err != nil {
		must = into
	}
	if reflect.TypeOf(is) != reflect.TypeOf(must) {
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: converting (%s) to (%s): unknown conversion",
			got.Kind, got.Version, want.Kind, typeName(obj), typeName(must)))
	}
	if got.GroupVersion() != want.GroupVersion() {
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", got.GroupVersion(), want.GroupVersion()))
	}
	return nil
}

// InternalName is the Go name of the internal type of a kind, which some of upstream's messages show.
func InternalName(gk schema.GroupKind) string {
	obj, err := Scheme().New(gk.WithVersion(runtime.APIVersionInternal))
	if err != nil {
		return gk.Kind
	}
	return fmt.Sprintf("%T", obj)
}

func typeName(obj runtime.Object) string { return strings.TrimPrefix(fmt.Sprintf("%T", obj), "*") }

// decodeError says in upstream's words what could not be read.
func decodeError(want schema.GroupVersionKind, got *schema.GroupVersionKind, err error, body []byte) error {
	if got != nil && got.Kind != "" {
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", got.Kind, got.Version, want.Kind, err))
	}
	return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", want.Kind, err, summary(body)))
}

// summary is the start of a body, in hexadecimal if it is not JSON.
func summary(body []byte) string {
	const longest = 30
	if len(body) == 0 {
		return "<empty>"
	}
	text := func(b []byte) string { return hex.EncodeToString(b) }
	if body[0] == '{' {
		text = func(b []byte) string { return string(b) }
	}
	if len(body) > longest {
		return text(body[:longest]) + " ..."
	}
	return text(body)
}

// fieldWarnings are the complaints of a strict decoder, one each; YAML's come several in one text.
func fieldWarnings(errs []error) []string {
	var out []string
	for _, e := range errs {
		text, yaml := strings.CutPrefix(e.Error(), "error converting YAML to JSON: yaml: unmarshal errors:\n")
		if !yaml {
			text, yaml = strings.CutPrefix(e.Error(), "yaml: unmarshal errors:\n")
		}
		if !yaml {
			out = append(out, text)
			continue
		}
		for _, line := range strings.Split(text, "\n") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

func unsupportedMedia(media string) error {
	return apierrors.NewGenericServerResponse(415, "", schema.GroupResource{}, "",
		fmt.Sprintf("the body of the request was in an unknown format %q - accepted media types include: %s, %s, %s", media, JSON, YAML, Protobuf), 0, true)
}

// Encode writes obj as it is, in its own version, which its apiVersion and kind must name.
func Encode(obj runtime.Object, media string) ([]byte, error) {
	ser := bodies().For(media, false)
	if ser == nil {
		return nil, unsupportedMedia(media)
	}
	var b bytes.Buffer
	if err := ser.Encode(obj, &b); err != nil {
		return nil, fmt.Errorf("encode %T as %s: %w", obj, media, err)
	}
	return b.Bytes(), nil
}

var errNoKind = errors.New("stored value names no kind")

// EncodeStorage writes obj, of a storage type, as etcd holds it: upstream's protobuf envelope, or JSON for the two kinds
// that upstream keeps in JSON (CustomResourceDefinition, APIService). resourceVersion must be empty: it is not stored.
func EncodeStorage(obj runtime.Object) ([]byte, error) {
	kinds, _, err := Scheme().ObjectKinds(obj)
	if err != nil {
		return nil, fmt.Errorf("encode for storage: %w", err)
	}
	gvk := kinds[0]
	if w := writtenAs(gvk); w != gvk {
		// Conversion moves what both versions share.
		if obj, err = Convert(obj.DeepCopyObject(), w.GroupVersion()); err != nil {
			return nil, fmt.Errorf("encode for storage: %w", err)
		}
		gvk = w
	}
	name(obj, gvk)
	if jsonStored(gvk.Group) {
		b, err := json.Marshal(obj)
		if err != nil {
			return nil, fmt.Errorf("encode %s for storage: %w", gvk, err)
		}
		return append(b, '\n'), nil
	}
	return Encode(obj, Protobuf)
}

// Written is the kind that stored values name. It is Storage for all kinds but one: upstream writes definitions of custom
// resources as v1beta1, whose form is more compact, and so does this program; they are handled as v1.
func (r *Resource) Written() schema.GroupVersionKind { return writtenAs(r.Storage) }

func writtenAs(gvk schema.GroupVersionKind) schema.GroupVersionKind {
	if gvk.Group == apiextensionsGroup {
		gvk.Version = "v1beta1"
	}
	return gvk
}

// jsonStored says whether etcd holds the group's kinds as JSON.
func jsonStored(group string) bool {
	return group == apiextensionsGroup || group == apiregistrationGroup
}

// DecodeStorage reads a value of etcd, protobuf or JSON, fills defaults that were added after it was written, and
// returns it as the type it was stored as. resourceVersion is left as in the value.
func DecodeStorage(value []byte) (Object, error) {
	media := JSON
	if bytes.HasPrefix(value, envelopeMagic) {
		media = Protobuf
	}
	obj, gvk, err := bodies().For(media, false).Decode(value, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("decode stored value: %w", err)
	}
	if gvk.Kind == "" {
		return nil, errNoKind
	}
	out, ok := obj.(Object)
	if !ok {
		return nil, fmt.Errorf("decode stored value: %T has no metadata", obj)
	}
	Default(out)
	nameClaimTemplates(out)
	out.GetObjectKind().SetGroupVersionKind(*gvk)
	return out, nil
}

// DecodeStorage is like the package's DecodeStorage, and turned into r's storage type if the value was
// written in an older one.
func (r *Resource) DecodeStorage(value []byte) (Object, error) {
	obj, err := DecodeStorage(value)
	if err != nil {
		return nil, err
	}
	if obj.GetObjectKind().GroupVersionKind() == r.Storage {
		return obj, nil
	}
	return r.Hub(obj)
}

// Canonical returns a stored value of the kind in the form that is served as it is: in the kind's storage version and
// with all defaults. It is value itself for what this program wrote; values that another server wrote, which may lack
// newer defaults or be in another version, are encoded anew.
func (r *Resource) Canonical(value []byte) ([]byte, error) {
	obj, err := r.DecodeStorage(value)
	if err != nil {
		return nil, err
	}
	out, err := EncodeStorage(obj)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(out, value) {
		return value, nil
	}
	return out, nil
}
