package image

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ServeError is the header in which Registry says why, for an answer to HEAD has no body.
const ServeError = "Minato-Error"

// Registry answers as a registry does that has the images of this store, for builders on this machine: GET and HEAD of
// manifests and blobs. Which registry's image is meant stands in ?ns=, as with any mirror. What is not here is pulled
// first, by the store's own rules; ?fresh=1 asks the registry for a tag that is here too.
func (s *Store) Registry() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.serve(w, r)
		if err == nil {
			return
		}
		w.Header().Set(ServeError, strings.ReplaceAll(err.Error(), "\n", "; "))
		status := http.StatusBadGateway
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, os.ErrNotExist):
			status = http.StatusNotFound
		case errors.Is(err, ErrInvalidName):
			status = http.StatusBadRequest
		case errors.Is(err, ErrUnauthorized):
			status = http.StatusForbidden
		}
		http.Error(w, err.Error(), status)
	})
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, kind := range []string{"/manifests/", "/blobs/"} {
		at := strings.LastIndex(path, kind)
		if at < 0 {
			continue
		}
		n, err := servedName(r.URL.Query().Get("ns"), path[:at], path[at+len(kind):])
		if err != nil {
			return err
		}
		if kind == "/blobs/" {
			return s.serveBlob(w, r, n.digest)
		}
		return s.serveManifest(w, r, n)
	}
	return ErrNotFound
}

// servedName puts together what a registry request takes apart.
func servedName(host, repo, target string) (name, error) {
	if strings.Contains(target, ":") {
		n, err := parseName(host + "/" + repo + "@" + target)
		if err == nil {
			err = checkDigest(n.digest)
		}
		return n, err
	}
	return parseName(host + "/" + repo + ":" + target)
}

// serveManifest answers a tag with the manifest for this machine, a digest with just that content.
func (s *Store) serveManifest(w http.ResponseWriter, r *http.Request, n name) error {
	if n.digest != "" {
		if _, err := os.Stat(s.blobPath(n.digest.String())); err != nil {
			if err := s.fetchFor(r.Context(), n, false); err != nil {
				return err
			}
		}
		return s.answerManifest(w, r, n.digest)
	}
	if err := s.fetchFor(r.Context(), n, r.URL.Query().Get("fresh") != ""); err != nil {
		return err
	}
	c, release, err := s.content(n.String())
	if err != nil {
		return err
	}
	defer release()
	return s.answerManifest(w, r, c.root.Digest)
}

// fetchFor pulls n where it is not here. Images that came from no registry are never asked for anew.
func (s *Store) fetchFor(ctx context.Context, n name, fresh bool) error {
	if i, here := s.Resolve(n.String()); here && (!fresh || i.Local || i.Pinned) {
		return nil
	}
	_, err := s.Pull(ctx, PullRequest{Ref: n.String()})
	return err
}

func (s *Store) answerManifest(w http.ResponseWriter, r *http.Request, d digest.Digest) error {
	raw, err := s.readBlob(d.String())
	if err != nil {
		return err
	}
	doc, err := parseDocument(raw)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeOf(doc))
	w.Header().Set("Docker-Content-Digest", d.String())
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(raw) // a caller that has gone is its own affair
	}
	return nil
}

// typeOf is the document's media type; many leave it out.
func typeOf(d document) string {
	switch {
	case d.MediaType != "":
		return d.MediaType
	case d.isIndex():
		return ocispec.MediaTypeImageIndex
	}
	return ocispec.MediaTypeImageManifest
}

// serveBlob gives the content out; the caller checks it against its digest, as with any registry.
func (s *Store) serveBlob(w http.ResponseWriter, r *http.Request, d digest.Digest) error {
	if d == "" {
		return ErrNotFound
	}
	defer s.hold(d.String())()
	f, err := os.Open(s.blobPath(d.String()))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", d.String())
	http.ServeContent(w, r, "", st.ModTime(), f)
	return nil
}
