package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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
	Details  []image.Detail  `json:"details,omitempty"`
	Digest   string          `json:"digest,omitempty"` // of what was pushed
	Bytes    int64           `json:"bytes,omitempty"`  // that were freed
	Error    string          `json:"error,omitempty"`
	Done     bool            `json:"done,omitempty"`
}

// local serves those verbs of the command line that need whoever runs the node.
type local struct {
	images *image.Store
	inUse  func(image.Image) bool
	tokens *tokenKeys

	visitors *visitors // of a host; nil in a cluster
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
	l.imageVerbs(mux)
	mux.HandleFunc("POST /keys/rotate", l.tokens.rotate)
	mux.HandleFunc("POST /keys/remove", l.tokens.remove)
	mux.HandleFunc("GET /hold", l.visitors.hold)
	mux.HandleFunc("POST /leave", l.visitors.leaveNow)
	mux.Handle("/v2/", l.images.Registry()) // for builds, see internal/build/kit
	srv := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("close", func(ctx context.Context) error { <-ctx.Done(); return srv.Close() })
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}

func answer(w http.ResponseWriter, imgs []image.Image, err error) {
	answerWith(w, LocalAnswer{Images: imgs}, err)
}

func answerWith(w http.ResponseWriter, line LocalAnswer, err error) {
	line.Done = true
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

// AskLocal sends one request to a local socket. The body of the answer is the caller's to close.
func AskLocal(ctx context.Context, socket, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://minato"+path+"?"+q.Encode(), body)
	if err != nil {
		return nil, err
	}
	return transport.RoundTrip(req)
}

// FindLocalSocket returns the socket of the cluster, or host, of a data directory.
func FindLocalSocket(data string) (string, error) {
	id, err := ReadIdentity(data)
	if err != nil {
		return "", fmt.Errorf("no cluster in %s; start one with `minato up`", data)
	}
	if pid, _, err := holder(data); err != nil || pid == 0 {
		return "", fmt.Errorf("the cluster in %s is not running; start it with `minato up`", data)
	}
	return id.paths(data).LocalSocket(), nil
}
