// Package negotiate reads Accept and Content-Type the way Kubernetes clients mean them.
//
// The API server calls it once a request; it is pure. Test it with tables of headers.
package negotiate

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/munnerz/goautoneg"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Media is an encoding of objects.
type Media string

// The encodings that are served.
const (
	JSON     Media = "application/json"
	YAML     Media = "application/yaml"
	Protobuf Media = "application/vnd.kubernetes.protobuf"
)

var medias = []Media{JSON, YAML, Protobuf}

// Shape is what an object is turned into before it is encoded.
type Shape string

// The shapes: the object itself, a Table for people, or metadata alone.
const (
	Whole    Shape = ""
	Table    Shape = "Table"
	Metadata Shape = "PartialObjectMetadata"
	Metas    Shape = "PartialObjectMetadataList"
)

// Output is how a response is wanted.
type Output struct {
	Media   Media
	Shape   Shape
	Version string // of the shape, in meta.k8s.io: "v1" or "v1beta1"
	Pretty  bool
}

// Choose picks the first acceptable clause of r's Accept header. tables says whether the endpoint can make Tables.
// It returns a NotAcceptable error where nothing fits.
func Choose(r *http.Request, tables bool) (Output, error) {
	o, ok := choose(r.Header.Get("Accept"), tables)
	if !ok {
		return o, notAcceptable(medias, "")
	}
	o.Pretty = o.Pretty || pretty(r)
	return o, nil
}

// JSONOnly is for endpoints that have no other form: it returns a NotAcceptable error where the client does not take JSON.
func JSONOnly(r *http.Request) error {
	header := r.Header.Get("Accept")
	if header == "" {
		return nil
	}
	for _, c := range goautoneg.ParseAccept(header) {
		if c.Type == "*" || c.Type == "application" && (c.SubType == "*" || c.SubType == "json") {
			return nil
		}
	}
	return notRepresentable(JSON)
}

// ChoosePlain is Choose for documents about the server, which are refused in other words.
func ChoosePlain(r *http.Request) (Output, error) {
	o, err := Choose(r, false)
	if err != nil {
		err = notRepresentable(medias...)
	}
	return o, err
}

func notRepresentable(available ...Media) error {
	return apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "", schema.GroupResource{}, "",
		"406: Not Acceptable\n\nAvailable representations: "+strings.Join(names(available, ""), ", "), 0, false)
}

// ChooseStream is Choose for watches.
func ChooseStream(r *http.Request, tables bool) (Output, error) {
	o, ok := choose(r.Header.Get("Accept"), tables)
	if !ok {
		return o, notAcceptable(medias, ";stream=watch")
	}
	if o.Media == YAML {
		return o, notAcceptable([]Media{JSON, Protobuf}, ";stream=watch")
	}
	return o, nil
}

func choose(header string, tables bool) (Output, bool) {
	if header == "" {
		return Output{Media: JSON}, true
	}
	// The two headers that nearly all requests carry need no parser.
	switch header {
	case "application/json", "application/json, */*", "*/*":
		return Output{Media: JSON}, true
	case string(Protobuf), string(Protobuf) + ", application/json", string(Protobuf) + ";stream=watch":
		return Output{Media: Protobuf}, true
	}
	for _, c := range goautoneg.ParseAccept(header) {
		for _, m := range medias {
			kind, sub, _ := strings.Cut(string(m), "/")
			if c.Type != "*" && (c.Type != kind || c.SubType != "*" && c.SubType != sub) || c.Type == "*" && c.SubType != "*" {
				continue
			}
			if o, ok := accept(m, c.Params, tables); ok {
				return o, true
			}
		}
	}
	return Output{}, false
}

// accept reads the parameters of one clause; false means that the clause asks for what this endpoint has not.
func accept(m Media, params map[string]string, tables bool) (Output, bool) {
	o := Output{Media: m}
	var group string
	var convert bool
	for k, v := range params {
		switch k {
		case "as":
			o.Shape, convert = Shape(v), true
		case "g":
			group, convert = v, true
		case "v":
			o.Version, convert = v, true
		case "stream":
			if v != "" && (v != "watch" || m == YAML) {
				return o, false
			}
		case "sv":
			if v != "" && v != "v1" {
				return o, false
			}
		case "pretty":
			o.Pretty = v == "1"
		}
	}
	if !convert {
		return o, true
	}
	if group != metav1.GroupName || o.Version != "v1" && o.Version != "v1beta1" {
		return o, false
	}
	switch o.Shape {
	case Table:
		return o, tables && m != Protobuf
	case Metadata, Metas:
		return o, true
	}
	return o, false
}

func pretty(r *http.Request) bool {
	if strings.Contains(r.URL.RawQuery, "pretty") {
		if p := r.URL.Query().Get("pretty"); p != "" {
			yes, _ := strconv.ParseBool(p)
			return yes
		}
	}
	agent := r.UserAgent()
	return strings.HasPrefix(agent, "curl") || strings.HasPrefix(agent, "Wget") || strings.HasPrefix(agent, "Mozilla/5.0")
}

// Input is the encoding of r's body: JSON where nothing is said. It returns an UnsupportedMediaType error for others.
func Input(r *http.Request) (Media, error) {
	t := r.Header.Get("Content-Type")
	if t == "" {
		return JSON, nil
	}
	name, _, err := mime.ParseMediaType(t)
	if err == nil {
		for _, m := range medias {
			if name == string(m) {
				return m, nil
			}
		}
	}
	return "", Unsupported(names(medias, "")...)
}

// Unsupported is the error for a body in none of the accepted media types.
func Unsupported(accepted ...string) error {
	return statusError{metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType,
		Reason: metav1.StatusReasonUnsupportedMediaType, Message: fmt.Sprintf(
			"the body of the request was in an unknown format - accepted media types include: %s", strings.Join(accepted, ", "))}}
}

func notAcceptable(accepted []Media, suffix string) error {
	return statusError{metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotAcceptable,
		Reason: metav1.StatusReasonNotAcceptable, Message: fmt.Sprintf(
			"only the following media types are accepted: %s", strings.Join(names(accepted, suffix), ", "))}}
}

func names(ms []Media, suffix string) []string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = string(m) + suffix
	}
	return out
}

// statusError is an apierrors.APIStatus.
type statusError struct{ s metav1.Status }

func (e statusError) Error() string         { return e.s.Message }
func (e statusError) Status() metav1.Status { return e.s }
