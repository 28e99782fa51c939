// Command gen writes the OpenAPI documents of the Kubernetes module into the folder named by its argument, in the form
// that package openapi embeds. `go generate` runs it after the module has been upgraded or a group version was added.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"minato.dev/minato/internal/apiserver/openapi/spec"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FOLDER")
	}
	if err := write(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func write(folder string) error {
	docs, err := spec.Load()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(folder, "v3")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(folder, "v3"), 0o755); err != nil {
		return err
	}
	for path, data := range docs.V3 {
		if err := compressed(filepath.Join(folder, "v3", spec.FileName(path)), data); err != nil {
			return err
		}
	}
	if err := compressed(filepath.Join(folder, "v2.json.gz"), docs.V2); err != nil {
		return err
	}
	index, err := json.MarshalIndent(docs.Index(), "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "index.json"), append(index, '\n'), 0o644)
}

func compressed(file string, data []byte) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(data); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}
