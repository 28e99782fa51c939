package openapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/munnerz/goautoneg"
)

// document is one embedded file, and its protobuf form, which is made when it is first asked for.
type document struct {
	file, hash string
	protobuf   func() ([]byte, error) // compressed
}

func newDocument(file, hash string, convert func(json []byte) ([]byte, error)) *document {
	d := &document{file: file, hash: hash}
	d.protobuf = sync.OnceValues(func() ([]byte, error) { return d.convert(convert) })
	return d
}

// form is a media type that a document can be had in.
type form struct {
	subtype, contentType string
	protobuf             bool
}

func forms(version string) []form {
	pb := "com.github.proto-openapi.spec." + version
	return []form{
		{"json", "application/json", false},
		{pb + ".v1.0+protobuf", "application/" + pb + ".v1.0+protobuf", true},
		{pb + "@v1.0+protobuf", "application/" + pb + ".v1.0+protobuf", true}, // as older clients write it
	}
}

var v2Forms, v3Forms = forms("v2"), forms("v3")

// serve answers in the first acceptable form, compressed as it is stored where the client can take that.
func (d *document) serve(w http.ResponseWriter, r *http.Request, known []form) {
	if w.Header().Add("Vary", "Accept"); &known[0] == &v2Forms[0] { // upstream says so of these alone
		w.Header().Add("Vary", "Accept-Encoding")
	}
	f, ok := choose(r.Header.Get("Accept"), known)
	if !ok {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	if notModified(w, r, d.hash) {
		return
	}
	data, err := d.compressed(f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", f.contentType)
	if zips := r.Header.Get("Accept-Encoding"); strings.Contains(zips, "gzip") && (!strings.Contains(zips, "gzip;q=0") || &known[0] != &v2Forms[0]) {
		w.Header().Set("Content-Encoding", "gzip")
	} else if data, err = expand(data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method != http.MethodHead {
		w.Write(data)
	}
}

func choose(accept string, known []form) (form, bool) {
	if accept == "" {
		return known[0], true
	}
	for _, c := range goautoneg.ParseAccept(accept) {
		for _, f := range known {
			if (c.Type == "application" || c.Type == "*") && (c.SubType == f.subtype || c.SubType == "*") {
				return f, true
			}
		}
	}
	return form{}, false
}

func (d *document) compressed(f form) ([]byte, error) {
	if f.protobuf {
		return d.protobuf()
	}
	return files.ReadFile(d.file)
}

func (d *document) convert(convert func([]byte) ([]byte, error)) ([]byte, error) {
	data, err := files.ReadFile(d.file)
	if err == nil {
		data, err = expand(data)
	}
	if err == nil {
		data, err = convert(data)
	}
	if err != nil {
		return nil, fmt.Errorf("openapi: %s as protobuf: %w", d.file, err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data) // a buffer takes everything
	z.Close()
	return b.Bytes(), nil
}

func expand(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return io.ReadAll(z)
}
