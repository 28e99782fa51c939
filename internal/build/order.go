package build

import (
	"encoding/json"
	"errors"
	"fmt"
)

// An Order is what the helper shall do: build an image, or forget what earlier builds left (Prune).
type Order struct {
	Place Place  `json:"place"`
	Build *Build `json:"build,omitempty"`
	Prune *Prune `json:"prune,omitempty"`
}

// A Place is where builds of one node happen. All paths are absolute.
type Place struct {
	State  string `json:"state"`  // the cache: survives, and may be removed between builds
	Run    string `json:"run"`    // shim, bundles and mounts of a running build; less than 70 bytes; gone at its end
	Shim   string `json:"shim"`   // the minato-shim program
	Socket string `json:"socket"` // the node's local socket: its images are read and added there
	Cgroup string `json:"cgroup"` // every step runs below it; it is removed at the end
	// Pull is a command that has the node pull the image that is named after it with the user's own logins. It is run
	// for a base image that the node may not have without.
	Pull []string `json:"pull,omitempty"`
	Keep int64    `json:"keep"` // bytes that the cache may hold after a build
}

// A Build is one `minato image build`.
type Build struct {
	Context  string            `json:"context"`        // a directory, or "-": an archive or a Dockerfile on standard input
	File     string            `json:"file,omitempty"` // the Dockerfile; "" is Context/Dockerfile
	Names    []string          `json:"names,omitempty"`
	Args     map[string]string `json:"args,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Secrets  []Secret          `json:"secrets,omitempty"`
	Target   string            `json:"target,omitempty"`
	NoCache  bool              `json:"noCache,omitempty"`
	Pull     bool              `json:"pull,omitempty"` // ask registries anew even for images that the node has
	Platform string            `json:"platform,omitempty"`
	Network  string            `json:"network,omitempty"` // of RUN steps: "host" or "none"
	Progress string            `json:"progress,omitempty"`
	Outputs  []Output          `json:"outputs,omitempty"` // none: into the node's images
}

// A Secret is what RUN --mount=type=secret,id=ID sees.
type Secret struct {
	ID  string `json:"id"`
	Src string `json:"src,omitempty"` // a file; exactly one of Src and Env is set
	Env string `json:"env,omitempty"` // an environment variable of the caller's
}

// An Output is a file that the image goes to instead of the node.
type Output struct {
	Type string `json:"type"` // oci or docker
	Dest string `json:"dest"` // a file, or "-" for standard output
}

// Prune asks for room in the cache.
type Prune struct {
	Keep int64 `json:"keep"` // bytes that may stay
}

// ErrOrder is returned for an Order or a flag that no builder can follow; the text says what and how to mend it.
var ErrOrder = errors.New("invalid build")

// Decode reads an Order and checks it.
func Decode(text string) (Order, error) {
	var o Order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return o, fmt.Errorf("%w: %w", ErrOrder, err)
	}
	return o, o.check()
}

func (o Order) check() error {
	switch {
	case (o.Build == nil) == (o.Prune == nil):
		return fmt.Errorf("%w: an order is either a build or a prune", ErrOrder)
	case o.Place.State == "" || o.Place.Run == "" || o.Place.Shim == "" || o.Place.Cgroup == "":
		return fmt.Errorf("%w: the place is incomplete", ErrOrder)
	case o.Build != nil:
		return o.Build.check()
	}
	return nil
}

// check finds what does not fit together.
func (b Build) check() error {
	switch {
	case b.Context == "":
		return fmt.Errorf("%w: name a context: a directory, or - for an archive on standard input", ErrOrder)
	case b.Context == "-" && b.File == "-":
		return fmt.Errorf("%w: context and Dockerfile cannot both come from standard input", ErrOrder)
	case len(b.Names) == 0 && len(b.Outputs) == 0:
		return fmt.Errorf("%w: name the image with -t NAME, or a file with --output type=oci,dest=FILE", ErrOrder)
	case b.Network != "" && b.Network != "host" && b.Network != "none":
		return fmt.Errorf("%w: network %q: steps run in the host's network (host) or in none (none)", ErrOrder, b.Network)
	}
	switch b.Progress {
	case "", "auto", "plain", "tty", "quiet":
		return nil
	}
	return fmt.Errorf("%w: progress %q: it is auto, plain, tty or quiet", ErrOrder, b.Progress)
}
