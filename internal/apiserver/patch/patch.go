// Package patch applies JSON patches, merge patches and strategic merge patches to objects.
//
// The API server's patch verb calls it with the object as the client knows it, in the version of the request; the package
// knows nothing of storage, admission or field management. Everything is pure and safe for concurrent use. Errors are API
// status errors in upstream's words. Test it with tables of documents.
package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
)

// maxOperations is the most that one JSON patch may hold.
const maxOperations = 10000

// maxCopied is the most that the copies of one JSON patch may add up to: copies of copies grow without bound.
const maxCopied = 3 << 20

// limitCopies sets the library's own limit, which is one for the whole process.
var limitCopies = sync.OnceFunc(func() { jsonpatch.AccumulatedCopySizeLimit = maxCopied })

// Check refuses bodies that are no JSON at all.
func Check(body []byte) error {
	if !json.Valid(body) {
		return apierrors.NewBadRequest("invalid JSON patch")
	}
	return nil
}

// operation is one step of a JSON patch, for strict reading.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	From  string `json:"from"`
	Value any    `json:"value"`
}

// JSON applies an RFC 6902 patch to doc. unknown lists the patch's own unknown and double fields where strict is set.
func JSON(doc, body []byte, strict bool) (patched []byte, unknown []error, err error) {
	if strict {
		var ops []operation
		if unknown, err = kjson.UnmarshalStrict(body, &ops); err != nil {
			return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		for i, e := range unknown {
			unknown[i] = fmt.Errorf("json patch %w", e)
		}
	}
	limitCopies()
	ops, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, nil, apierrors.NewBadRequest(err.Error())
	}
	if len(ops) > maxOperations {
		return nil, nil, apierrors.NewRequestEntityTooLargeError(
			fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", maxOperations, len(ops)))
	}
	patched, err = applyOperations(ops, doc)
	if err != nil {
		return nil, nil, unprocessable(err)
	}
	return patched, unknown, nil
}

// applyOperations turns a panic of the library, which a test against null can cause, into an error.
func applyOperations(ops jsonpatch.Patch, doc []byte) (patched []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("apply patch: %v", p)
		}
	}()
	return ops.Apply(doc)
}

// Merge applies an RFC 7386 patch to doc.
func Merge(doc, body []byte, strict bool) (patched []byte, unknown []error, err error) {
	if strict {
		if unknown, err = kjson.UnmarshalStrict(body, &map[string]any{}); err != nil {
			return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
	}
	patched, err = jsonpatch.MergePatch(doc, body)
	if errors.Is(err, jsonpatch.ErrBadJSONPatch) {
		return nil, nil, apierrors.NewBadRequest(err.Error())
	}
	return patched, unknown, err
}

func unprocessable(err error) error {
	return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
}
