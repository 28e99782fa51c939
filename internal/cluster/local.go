package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/run"
)

// The local socket is for the command line on the node itself (root only): what no Kubernetes API offers, such as
// loading an image from a file. Answers are JSON lines: any number of {"progress": ...} and one {"images": ...} or
// {"error": ...}.

// LocalSocket is where it listens.
func (p Paths) LocalSocket() string { return p.Run + "/minato.sock" }

// LocalAnswer is one line of an answer.
type LocalAnswer struct {
	Progress *image.Progress `json:"progress,omitempty"`
	Images   []image.Image   `json:"images,omitempty"`
	Bytes    int64           `json:"bytes,omitempty"`
	Error    string          `json:"error,omitempty"`
	Done     bool            `json:"done,omitempty"`
}

// local serves the image verbs of the command line.
type local struct {
	images *image.Store
	inUse  func(image.Image) bool
}

func (l local) run(ctx context.Context, socket string) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images", l.list)
	mux.HandleFunc("DELETE /images", l.remove)
	mux.HandleFunc("POST /images/load", l.load)
	mux.HandleFunc("POST /images/pull", l.pull)
	srv := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("close", func(ctx context.Context) error { <-ctx.Done(); return srv.Close() })
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}

func (l local) list(w http.ResponseWriter, _ *http.Request) {
	answer(w, l.images.List(), nil)
}

func (l local) remove(w http.ResponseWriter, r *http.Request) {
	answer(w, nil, l.images.Remove(r.Context(), r.FormValue("ref"), image.RemoveOptions{InUse: l.inUse}))
}

func (l local) load(w http.ResponseWriter, r *http.Request) {
	imgs, err := l.images.Load(r.Context(), r.Body, image.LoadOptions{Name: r.FormValue("name")})
	answer(w, imgs, err)
}

func (l local) pull(w http.ResponseWriter, r *http.Request) {
	req := image.PullRequest{Ref: r.FormValue("ref")}
	if body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20)); err == nil && len(body) > 0 {
		req.Auth = &image.Auth{}
		if err := json.Unmarshal(body, req.Auth); err != nil {
			answer(w, nil, err)
			return
		}
	}
	// lines is never closed: a pull that others share goes on, and tells its progress, after this caller has gone.
	lines, pulled := make(chan LocalAnswer, 64), make(chan struct{})
	err := run.With(r.Context(), func(s *run.Scope) error {
		s.Go("progress", func(context.Context) error {
			for {
				select {
				case line := <-lines:
					write(w, line)
				case <-pulled:
					return nil
				}
			}
		})
		req.Progress = func(p image.Progress) {
			select {
			case lines <- LocalAnswer{Progress: &p}:
			default: // a slow terminal misses a step, never the end
			}
		}
		img, err := l.images.Pull(s.Context(), req)
		close(pulled)
		if err == nil {
			req.Ref = img.ID
		}
		return err
	})
	img, _ := l.images.Resolve(req.Ref)
	answer(w, []image.Image{img}, err)
}

func answer(w http.ResponseWriter, imgs []image.Image, err error) {
	line := LocalAnswer{Images: imgs, Done: true}
	if err != nil {
		line = LocalAnswer{Error: err.Error(), Done: true}
	}
	write(w, line)
}

func write(w http.ResponseWriter, line LocalAnswer) {
	if json.NewEncoder(w).Encode(line) == nil { // a client that has gone is its own affair
		_ = http.NewResponseController(w).Flush()
	}
}

// FindLocalSocket returns the socket of the cluster in a data directory.
func FindLocalSocket(data string) (string, error) {
	id, err := ReadIdentity(data)
	if err != nil {
		return "", fmt.Errorf("no cluster in %s; start one with `minato up`", data)
	}
	if pid, err := Running(data); err != nil || pid == 0 {
		return "", fmt.Errorf("the cluster in %s is not running; start it with `minato up`", data)
	}
	return id.paths(data).LocalSocket(), nil
}
