package images

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// span is where a blob lies in the archive.
type span struct{ offset, size int64 }

// registry answers pulls out of an archive.
type registry struct {
	file  string
	blobs map[string]span       // by digest
	tags  map[string]descriptor // by repository, without the host, and tag
}

// Serve returns a read-only registry over an archive that Build made, whose images it has under their paths on whatever
// host they are asked from. It is safe for concurrent use.
func Serve(archive string) (http.Handler, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &registry{archive, map[string]span{}, map[string]descriptor{}}
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", archive, err)
		}
		if d, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok {
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			r.blobs["sha256:"+d] = span{at, h.Size}
		}
		if h.Name == "index.json" {
			if err := r.index(tr); err != nil {
				return nil, fmt.Errorf("%s: %w", archive, err)
			}
		}
	}
}

func (r *registry) index(from io.Reader) error {
	var index struct{ Manifests []descriptor }
	if err := json.NewDecoder(from).Decode(&index); err != nil {
		return err
	}
	for _, m := range index.Manifests {
		_, name, _ := strings.Cut(m.Annotations["io.containerd.image.name"], "/")
		r.tags[name] = m
	}
	return nil
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := strings.TrimPrefix(req.URL.Path, "/v2/")
	media, digest := "application/octet-stream", ""
	switch {
	case path == "":
		fmt.Fprint(w, "{}")
		return
	case strings.Contains(path, "/manifests/"):
		name, ref, _ := strings.Cut(path, "/manifests/")
		media, digest = manifestType, ref
		if m, ok := r.tags[name+":"+ref]; ok {
			digest = m.Digest
		}
	default:
		_, digest, _ = strings.Cut(path, "/blobs/")
	}
	at, ok := r.blobs[digest]
	if !ok {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not found"}]}`)
		return
	}
	f, err := os.Open(r.file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", media)
	w.Header().Set("Docker-Content-Digest", digest)
	http.ServeContent(w, req, "", epoch, io.NewSectionReader(f, at.offset, at.size))
}
