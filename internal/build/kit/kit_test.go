package kit

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	ctdimages "github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/shim"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"failed to solve: dockerfile parse error on line 2: unknown instruction: RUNN":             "unknown instruction: RUNN",
		`failed to solve: process "/bin/sh -c exit 7" did not complete successfully: exit code: 7`: `process "/bin/sh -c exit 7" did not complete successfully: exit code: 7`,
		`failed to solve: nope:1: failed to resolve source metadata for docker.io/library/nope:1: failed to do request: Head "http://node/v2/library/nope/manifests/1?ns=docker.io": pull docker.io/library/nope:1: image not found`: "pull docker.io/library/nope:1: image not found",
		`rpc error: code = Unknown desc = failed to solve: failed to compute cache key: failed to calculate checksum of ref a::b: "/x": not found`:                                                                                   `"/x": not found`,
	} {
		if got := plain(errors.New(in)); got != want {
			t.Errorf("%s\n  became %s\n  wanted %s", in, got, want)
		}
	}
}

// The innermost source is the line itself; what is around it is a file that it was read from.
func TestExplainNamesFileAndLine(t *testing.T) {
	at := func(file string, line int32) *errdefs.Source {
		return &errdefs.Source{Info: &pb.SourceInfo{Filename: file, Data: []byte("FROM a\nRUN b\nRUN c\n")},
			Ranges: []*pb.Range{{Start: &pb.Position{Line: line}, End: &pb.Position{Line: line}}}}
	}
	cause := errors.New("exit code: 7")
	var out bytes.Buffer
	err := explain(errdefs.WithSource(fmt.Errorf("failed to solve: %w", cause), at("Dockerfile", 2)), &out)
	if err.Error() != "Dockerfile:2: exit code: 7" || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out.String(), ">>> RUN b") {
		t.Errorf("shown: %s", &out)
	}
	if err := explain(cause, &out); err.Error() != "exit code: 7" {
		t.Errorf("without a source: %v", err)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		st    shim.ContainerState
		valid []int
		want  string
	}{
		{shim.ContainerState{}, nil, ""},
		{shim.ContainerState{ExitCode: 3}, nil, "exit code: 3"},
		{shim.ContainerState{ExitCode: 3}, []int{1, 3}, ""},
		{shim.ContainerState{ExitCode: 0}, []int{1}, "exit code: 0"},
		{shim.ContainerState{ExitCode: 137, OOMKilled: true}, nil, "out of memory"},
		{shim.ContainerState{ExitCode: 255, Reason: "exit status lost: the machine slept"}, nil, "exit status lost"},
	} {
		err := verdict(c.st, c.valid)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v, valid %v: %v, want %q", c.st, c.valid, err, c.want)
		}
	}
}

func TestFullNames(t *testing.T) {
	got, err := fullNames([]string{"web", "127.0.0.1:5000/a/b:2"})
	if err != nil || !slices.Equal(got, []string{"docker.io/library/web:latest", "127.0.0.1:5000/a/b:2"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"UPPER", "a@sha256:" + strings.Repeat("0", 64), "a b"} {
		if got, err := fullNames([]string{bad}); !errors.Is(err, build.ErrOrder) {
			t.Errorf("%s: %v, %v", bad, got, err)
		}
	}
}

// An output has its name when it is whole, and none before.
func TestOutputsAppearWhole(t *testing.T) {
	dir := t.TempDir()
	dest := filepath.Join(dir, "image.tar")
	for _, keep := range []bool{false, true} {
		o := &outputs{}
		ex, err := o.exports([]build.Output{{Type: "oci", Dest: dest}}, []string{"a:1"})
		if err != nil {
			t.Fatal(err)
		}
		w, err := ex[0].Output(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "archive"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dest); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it is there before the end: %v", err)
		}
		if keep {
			if err := o.keep(); err != nil {
				t.Fatal(err)
			}
		}
		o.drop()
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	hidden, err2 := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || err2 != nil || !slices.Equal(left, []string{dest}) || len(hidden) != 0 {
		t.Errorf("left: %v %v", left, hidden)
	}
	if b, err := os.ReadFile(dest); string(b) != "archive" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestLockWaits(t *testing.T) {
	dir := t.TempDir()
	first, err := lock(t.Context(), dir, func() { t.Error("the first waits") })
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		second, err := lock(t.Context(), dir, func() { close(waits) })
		if err == nil {
			err = second.Close()
		}
		got <- err
	}()
	<-waits
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	held, err := lock(t.Context(), dir, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, dir, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("one that was called off: %v", err)
	}
}

// fakeNode has the blobs of have, and keeps the names in the archives that it is given.
type fakeNode struct {
	have  map[digest.Digest]bool
	given [][]string
	say   string
}

func (f *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/manifests/") {
		w.Header().Set(image.ServeError, "no such image: "+r.URL.Query().Get("fresh"))
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method == http.MethodHead {
		if !f.have[digest.Digest(filepath.Base(r.URL.Path))] {
			w.WriteHeader(http.StatusNotFound)
		}
		return
	}
	var names []string
	for t := tar.NewReader(r.Body); ; {
		h, err := t.Next()
		if err != nil {
			break
		}
		names = append(names, h.Name)
	}
	f.given = append(f.given, names)
	fmt.Fprintf(w, "{\"progress\":{}}\n%s\n", f.say)
}

func serve(t *testing.T, f *fakeNode) *node {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: f}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return newNode(socket, nil)
}

// The node is given what it lacks and nothing else, and its word is the end of it.
func TestImageGoesToTheNode(t *testing.T) {
	store, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put := func(mediaType, text string) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromString(text), Size: int64(len(text))}
		if err := content.WriteBlob(t.Context(), store, text, strings.NewReader(text), d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	config, layer := put(ocispec.MediaTypeImageConfig, "{}"), put(ocispec.MediaTypeImageLayerGzip, "layer")
	base := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString("base"), Size: 4}
	describe := func(d ocispec.Descriptor) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size)
	}
	root := put(ocispec.MediaTypeImageManifest, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s,%s]}`,
		ocispec.MediaTypeImageManifest, describe(config), describe(base), describe(layer)))
	f := &fakeNode{have: map[digest.Digest]bool{base.Digest: true}, say: `{"done":true}`}
	s := &images{node: serve(t, f), content: store}
	if _, err := s.Create(t.Context(), ctdimages.Image{Name: "docker.io/library/a:1", Target: root}); err != nil {
		t.Fatal(err)
	}
	blob := func(d ocispec.Descriptor) string { return "blobs/sha256/" + d.Digest.Encoded() }
	want := []string{"oci-layout", "index.json", blob(root), blob(config), blob(layer)}
	slices.Sort(want)
	slices.Sort(f.given[0])
	if !slices.Equal(f.given[0], want) {
		t.Errorf("given %v, want %v", f.given[0], want)
	}
	f.say = `{"error":"disk full","done":true}`
	if _, err := s.Create(t.Context(), ctdimages.Image{Name: "a:1", Target: root}); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a refusal: %v", err)
	}
	delete(f.have, base.Digest)
	f.say = `{"error":"broken archive","done":true}`
	if _, err := s.Create(t.Context(), ctdimages.Image{Name: "a:1", Target: root}); err == nil || !strings.Contains(err.Error(), "neither on the node nor in the build cache") {
		t.Errorf("a layer that is nowhere: %v", err)
	}
}

// What the node says about a base image arrives, though HEAD has no body.
func TestNodesRefusalIsHeard(t *testing.T) {
	n := serve(t, &fakeNode{})
	n.fresh = true
	resp, err := n.client.Head("http://" + nodeHost + "/v2/a/manifests/1?ns=docker.io")
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no such image: 1") {
		t.Errorf("%v", err)
	}
	gone := newNode(filepath.Join(t.TempDir(), "none"), nil)
	if _, err := gone.has(t.Context(), digest.FromString("x")); err == nil || !strings.Contains(err.Error(), "is the cluster running?") {
		t.Errorf("%v", err)
	}
}

// A base image behind a login is pulled by the command that has the user's logins, and asked for again.
func TestLoginIsFetched(t *testing.T) {
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(told); err != nil {
			w.Header().Set(image.ServeError, "authorization failed")
			w.WriteHeader(http.StatusForbidden)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	head := func(n *node, path string) error {
		resp, err := n.client.Head("http://" + nodeHost + path + "?ns=127.0.0.1:5000")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := head(newNode(socket, nil), "/v2/a/manifests/1"); err == nil || !strings.Contains(err.Error(), "authorization failed") {
		t.Errorf("without a command: %v", err)
	}
	if err := head(newNode(socket, []string{"sh", "-c", "echo minato: wrong password >&2; exit 1"}), "/v2/a/manifests/1"); err == nil || !strings.HasSuffix(err.Error(), `: wrong password`) {
		t.Errorf("a command that fails: %v", err)
	}
	n := newNode(socket, []string{"sh", "-c", `echo "$0" >` + told})
	if err := head(n, "/v2/a/b/manifests/1"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(told); string(b) != "127.0.0.1:5000/a/b:1\n" {
		t.Errorf("it was told %q (%v)", b, err)
	}
}
