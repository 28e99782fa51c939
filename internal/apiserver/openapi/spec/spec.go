// Package spec reads upstream's OpenAPI documents out of the Kubernetes module and cuts them to what is served. The
// generator of package openapi and its test call it; the program does not.
package spec

import (
	"crypto/sha512"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"minato.dev/minato/internal/api"
)

// Index lists the documents with their hashes, the upper-case hexadecimal SHA-512 of the JSON text.
type Index struct {
	V2 string            `json:"v2"`
	V3 map[string]string `json:"v3"` // by path ("apis/apps/v1")
}

// Documents are the minified documents, cut to what is served.
type Documents struct {
	V2 []byte
	V3 map[string][]byte // by path
}

// Index hashes the documents.
func (d *Documents) Index() Index {
	x := Index{V2: hash(d.V2), V3: map[string]string{}}
	for p, data := range d.V3 {
		x.V3[p] = hash(data)
	}
	return x
}

func hash(data []byte) string { return fmt.Sprintf("%X", sha512.Sum512(data)) }

// FileName is the file of a v3 document.
func FileName(path string) string { return strings.ReplaceAll(path, "/", "__") + ".json.gz" }

// Load reads the module's documents; it needs the go command.
func Load() (*Documents, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		return nil, fmt.Errorf("find the Kubernetes module: %w", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "api", "openapi-spec")
	d := &Documents{V3: map[string][]byte{}}
	const ending = "_openapi.json"
	v3, err := filepath.Glob(filepath.Join(dir, "v3", "*"+ending))
	if err != nil {
		return nil, err
	}
	hidden, err := filepath.Glob(filepath.Join(dir, "v3", ".*"+ending))
	if err != nil {
		return nil, err
	}
	for _, file := range append(v3, hidden...) {
		path := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ending), "__", "/")
		if !Served(path) {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		doc, err := decode(data)
		if err == nil {
			d.V3[path], err = asServed(doc)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	swagger, err := os.ReadFile(filepath.Join(dir, "swagger.json"))
	if err != nil {
		return nil, err
	}
	d.V2, err = cut(swagger)
	return d, err
}

// Served says whether a path ("apis/apps/v1", "apis/apps", "version") is of this server.
func Served(path string) bool {
	switch path {
	case "api", "apis", "version", ".well-known/openid-configuration", "openid/v1/jwks":
		return true
	}
	for _, g := range api.Groups() {
		for _, gv := range g.Versions {
			if g.Name == "" && path == "api/"+gv.Version || path == "apis/"+g.Name || path == "apis/"+gv.String() {
				return true
			}
		}
	}
	return false
}
