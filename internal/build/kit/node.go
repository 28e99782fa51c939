package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/opencontainers/go-digest"

	"minato.dev/minato/internal/image"
)

// node is the node's image store, spoken to over its local socket.
type node struct {
	client *http.Client
	fresh  bool     // ask registries for tags that are here too
	pull   []string // see build.Place
}

// nodeHost stands in URLs; the socket is what counts.
const nodeHost = "node"

func newNode(socket string, pull []string) *node {
	n := &node{pull: pull}
	n.client = &http.Client{Transport: &asking{n: n, next: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
	return n
}

// hosts says to BuildKit that every registry is the node.
func (n *node) hosts(string) ([]docker.RegistryHost, error) {
	return []docker.RegistryHost{{Client: n.client, Host: nodeHost, Scheme: "http", Path: "/v2",
		Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve}}, nil
}

// asking makes errors of refusals, in the node's own words, which BuildKit would drop.
type asking struct {
	n    *node
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.n.fresh && strings.Contains(r.URL.Path, "/manifests/") {
		r = r.Clone(r.Context())
		q := r.URL.Query()
		q.Set("fresh", "1")
		r.URL.RawQuery = q.Encode()
	}
	resp, err := a.ask(r)
	if err == nil && resp.StatusCode == http.StatusForbidden && strings.Contains(r.URL.Path, "/manifests/") && len(a.n.pull) > 0 {
		if err := errors.Join(a.n.login(r), resp.Body.Close()); err != nil {
			return nil, err
		}
		resp, err = a.ask(r)
	}
	if err != nil {
		return nil, err
	}
	if why := resp.Header.Get(image.ServeError); why != "" && resp.StatusCode >= http.StatusBadRequest && !strings.Contains(r.URL.Path, "/blobs/") {
		return nil, errors.Join(&refusal{why}, resp.Body.Close())
	}
	return resp, nil
}

func (a *asking) ask(r *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("reach the node's images: %w; is the cluster running? see `minato status`", err)
	}
	return resp, nil
}

// login has the image that r asks for pulled with the user's logins.
func (n *node) login(r *http.Request) error {
	repo, target, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
	ref := r.URL.Query().Get("ns") + "/" + repo + ":" + target
	if strings.Contains(target, ":") {
		ref = r.URL.Query().Get("ns") + "/" + repo + "@" + target
	}
	cmd := exec.CommandContext(r.Context(), n.pull[0], append(slices.Clone(n.pull[1:]), ref)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return &refusal{strings.TrimPrefix(strings.TrimSpace(string(out)), "minato: ")}
	}
	return nil
}

// refusal is why the node does not give out an image.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// has reports whether the node has the blob.
func (n *node) has(ctx context.Context, d digest.Digest) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+nodeHost+"/v2/any/blobs/"+d.String()+"?ns=any.local", nil)
	if err != nil {
		return false, err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, resp.Body.Close()
}

// load gives the node an archive.
func (n *node) load(ctx context.Context, archive io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, (&url.URL{Scheme: "http", Host: nodeHost, Path: "/images/load"}).String(), archive)
	if err != nil {
		return err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var line struct {
			Error string
			Done  bool
		}
		if err := d.Decode(&line); err != nil {
			return fmt.Errorf("the node broke off its answer: %w", err)
		}
		switch {
		case line.Error != "":
			return errors.New(line.Error)
		case line.Done:
			return nil
		}
	}
}
