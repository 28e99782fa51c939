package patch

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// Strategic merges a patch into original, whose Go type says how its lists merge, and fills into with the result, without
// defaults. unknown lists fields that the patch or the result has twice or that the type has not, where strict is set.
func Strategic(original runtime.Object, body []byte, into runtime.Object, strict bool) (unknown []error, err error) {
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(original)
	if err != nil {
		return nil, err
	}
	want := map[string]any{}
	if strict {
		unknown, err = kjson.UnmarshalStrict(body, &want)
	} else {
		err = kjson.UnmarshalCaseSensitivePreserveInts(body, &want)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	patched, err := strategicpatch.StrategicMergeMapPatch(have, want, into)
	if err != nil {
		return nil, mergeError(err)
	}
	err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(patched, into, strict)
	if e, ok := runtime.AsStrictDecodingError(err); ok {
		return append(unknown, e.Errors()...), nil
	}
	if err != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{
			field.Invalid(field.NewPath("patch"), fmt.Sprintf("%+v", want), err.Error())})
	}
	return unknown, nil
}

// mergeError sorts what can be wrong with a strategic patch.
func mergeError(err error) error {
	for _, bad := range []error{mergepatch.ErrBadJSONDoc, mergepatch.ErrBadPatchFormatForPrimitiveList, mergepatch.ErrBadPatchFormatForRetainKeys,
		mergepatch.ErrBadPatchFormatForSetElementOrderList, mergepatch.ErrUnsupportedStrategicMergePatchFormat} {
		if errors.Is(err, bad) {
			return apierrors.NewBadRequest(err.Error())
		}
	}
	if errors.Is(err, mergepatch.ErrNoListOfLists) || errors.Is(err, mergepatch.ErrPatchContentNotMatchRetainKeys) {
		return unprocessable(err)
	}
	return err
}
