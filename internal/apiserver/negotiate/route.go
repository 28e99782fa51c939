package negotiate

import (
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Produces checks what upstream's router checks before any verb runs: that the Accept header, its parameters aside, names
// one of the encodings. list says whether the path is a collection's, whose watches have encodings of their own.
func Produces(r *http.Request, list bool) error {
	if named(r.Header.Get("Accept"), names(medias, "")) {
		return nil
	}
	all := names(medias, "")
	if list {
		all = append(all, names([]Media{JSON, Protobuf}, ";stream=watch")...)
	}
	return unproducible(all)
}

// Only is Produces for a document that has one form alone.
func Only(r *http.Request, mediaType string) error {
	if named(r.Header.Get("Accept"), []string{mediaType}) {
		return nil
	}
	return unproducible([]string{mediaType})
}

func unproducible(available []string) error {
	return routing(http.StatusNotAcceptable, "406: Not Acceptable\n\nAvailable representations: "+strings.Join(available, ", "))
}

// Consumes checks that the Content-Type is one of accepted, as upstream's router does for patches.
func Consumes(r *http.Request, accepted []string) error {
	t := r.Header.Get("Content-Type")
	if t != "" && named(t, accepted) {
		return nil
	}
	return routing(http.StatusUnsupportedMediaType, "415: Unsupported Media Type")
}

// named says whether one of a header's clauses, without parameters, is anything or one of known.
func named(header string, known []string) bool {
	if header == "" {
		return true
	}
	for clause := range strings.SplitSeq(header, ",") {
		clause, _, _ = strings.Cut(clause, ";")
		if clause = strings.TrimSpace(clause); clause == "*/*" || slices.Contains(known, clause) {
			return true
		}
	}
	return false
}

func routing(code int, message string) error {
	return apierrors.NewGenericServerResponse(code, "", schema.GroupResource{}, "", message, 0, false)
}
