package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"

	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/run"
)

// imageVerbs are the requests of `minato image`. References and options are in the query, archives and credentials in
// the body.
func (l local) imageVerbs(mux *http.ServeMux) {
	mux.HandleFunc("GET /images", l.list)
	mux.HandleFunc("DELETE /images", l.remove)
	mux.HandleFunc("POST /images/load", l.load)
	mux.HandleFunc("POST /images/pull", l.pull)
	mux.HandleFunc("POST /images/push", l.push)
	mux.HandleFunc("POST /images/tag", l.tag)
	mux.HandleFunc("POST /images/prune", l.prune)
	mux.HandleFunc("GET /images/inspect", l.inspect)
	mux.HandleFunc("GET /images/save", l.save)
}

func (l local) list(w http.ResponseWriter, _ *http.Request) {
	answer(w, l.images.List(), nil)
}

func (l local) remove(w http.ResponseWriter, r *http.Request) {
	answer(w, nil, l.images.Remove(r.Context(), r.FormValue("ref"), image.RemoveOptions{InUse: l.inUse}))
}

func (l local) load(w http.ResponseWriter, r *http.Request) {
	imgs, err := l.images.Load(r.Context(), r.Body, image.LoadOptions{Name: r.URL.Query().Get("name")})
	answer(w, imgs, err)
}

func (l local) tag(w http.ResponseWriter, r *http.Request) {
	img, err := l.images.Tag(r.Context(), r.FormValue("ref"), r.FormValue("name"))
	answer(w, []image.Image{img}, err)
}

func (l local) prune(w http.ResponseWriter, r *http.Request) {
	imgs, freed, err := l.images.RemoveUnused(r.Context(), image.UnusedOptions{RemoveOptions: image.RemoveOptions{InUse: l.inUse},
		Local: r.FormValue("local") == "true", DryRun: r.FormValue("dry-run") == "true"})
	answerWith(w, LocalAnswer{Images: imgs, Bytes: freed}, err)
}

func (l local) inspect(w http.ResponseWriter, r *http.Request) {
	var line LocalAnswer
	var errs []error
	for _, ref := range r.URL.Query()["ref"] {
		d, err := l.images.Inspect(ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		line.Details = append(line.Details, d)
	}
	answerWith(w, line, errors.Join(errs...))
}

// SaveError is the trailer that says why an archive broke off; an archive without it is whole.
const SaveError = "Minato-Error"

// save answers with the archive itself. What is known before the first byte is a plain error answer.
func (l local) save(w http.ResponseWriter, r *http.Request) {
	refs := r.URL.Query()["ref"]
	for _, ref := range refs {
		if _, here := l.images.Resolve(ref); !here {
			http.Error(w, fmt.Sprintf("%v: %s", image.ErrNotFound, ref), http.StatusNotFound)
			return
		}
	}
	w.Header().Set("Trailer", SaveError)
	w.Header().Set("Content-Type", "application/x-tar")
	if err := l.images.Save(r.Context(), w, image.Format(r.URL.Query().Get("format")), refs...); err != nil {
		w.Header().Set(SaveError, err.Error())
	}
}

func (l local) pull(w http.ResponseWriter, r *http.Request) {
	auth, err := readAuth(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	var img image.Image
	err = withProgress(w, r, func(ctx context.Context, tell func(image.Progress)) (err error) {
		img, err = l.images.Pull(ctx, image.PullRequest{Ref: r.URL.Query().Get("ref"), Auth: auth, Progress: tell})
		return err
	})
	answer(w, []image.Image{img}, err)
}

func (l local) push(w http.ResponseWriter, r *http.Request) {
	auth, err := readAuth(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	var d digest.Digest
	err = withProgress(w, r, func(ctx context.Context, tell func(image.Progress)) (err error) {
		d, err = l.images.Push(ctx, image.PushRequest{Ref: r.URL.Query().Get("ref"), Auth: auth, Progress: tell})
		return err
	})
	answerWith(w, LocalAnswer{Digest: d.String()}, err)
}

// readAuth reads the credentials in the body; nil where there are none.
func readAuth(r *http.Request) (*image.Auth, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || len(body) == 0 {
		return nil, err
	}
	auth := &image.Auth{}
	return auth, json.Unmarshal(body, auth)
}

// withProgress runs f and passes on what it tells of its progress.
func withProgress(w http.ResponseWriter, r *http.Request, f func(ctx context.Context, tell func(image.Progress)) error) error {
	// lines is never closed: a pull that others share goes on, and tells its progress, after this caller has gone.
	lines, ended := make(chan LocalAnswer, 64), make(chan struct{})
	return run.With(r.Context(), func(s *run.Scope) error {
		s.Go("progress", func(context.Context) error {
			for {
				select {
				case line := <-lines:
					write(w, line)
				case <-ended:
					return nil
				}
			}
		})
		defer close(ended)
		return f(s.Context(), func(p image.Progress) {
			select {
			case lines <- LocalAnswer{Progress: &p}:
			default: // a slow terminal misses a step, never the end
			}
		})
	})
}
