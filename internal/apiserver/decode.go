package apiserver

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
)

// decodeInto reads a body of a kind that is not stored itself.
func decodeInto[T runtime.Object](c *call, gv schema.GroupVersion, kind, validation string) (T, error) {
	var none T
	media, err := negotiate.Input(c.r)
	if err != nil {
		return none, err
	}
	body, err := c.body()
	if err != nil {
		return none, err
	}
	obj, warned, err := api.DecodeAs(gv.WithKind(kind), body, string(media), fieldValidation(validation))
	if err != nil {
		return none, err
	}
	c.warn.add(warned...)
	return obj.(T), nil
}
