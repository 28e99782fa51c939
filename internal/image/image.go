package image

import (
	"errors"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The kinds of failure that callers tell apart with errors.Is.
var (
	// ErrNotFound is returned when neither a name, a digest nor an image id matches, and by Pull when the registry
	// says that the repository, tag or digest does not exist.
	ErrNotFound = errors.New("image not found")
	// ErrInUse is returned by Remove when the in-use callback claims the image.
	ErrInUse = errors.New("image is in use")
	// ErrPinned is returned by Remove for an image that belongs to the node itself.
	ErrPinned = errors.New("image is pinned")
	// ErrUnauthorized is returned by Pull when the registry wants other credentials than it got.
	ErrUnauthorized = errors.New("authorization failed")
	// ErrUnavailable is returned by Pull when no host of the registry answers.
	ErrUnavailable = errors.New("registry unavailable")
	// ErrInvalidName is returned for a reference that no registry could hold.
	ErrInvalidName = errors.New("invalid image name")
	// ErrPlatform is returned when an image has nothing for this machine's operating system and architecture.
	ErrPlatform = errors.New("no image for this platform")
)

// Image is one complete, unpacked image. It is a copy; changing it changes nothing in the Store.
type Image struct {
	ID      string   // digest of the config: "sha256:..."
	Names   []string // full names with tag: "docker.io/library/nginx:latest"
	Digests []string // full names with digest: "docker.io/library/nginx@sha256:..."
	Size    int64    // bytes of manifest, config and layers as they were transferred
	Config  ocispec.Image
	Layers  []string // absolute overlay lower directories, the topmost first
	Chain   []string // chain ids of the same layers in the same order
	Pinned  bool     // never collected or removed
	Local   bool     // from an archive or a build, and never pushed: no registry is known to have it
	Created time.Time
	Loaded  time.Time // when this Store first had it
}

// User returns the image's user as the image says it ("", "1000", "nginx:nginx").
func (i Image) User() string { return i.Config.Config.User }

// HasName reports whether full name or digest reference ref is one of the image's.
func (i Image) HasName(ref string) bool {
	return slices.Contains(i.Names, ref) || slices.Contains(i.Digests, ref)
}

// Auth is what a pull or push shows to a registry. The zero value is anonymous.
type Auth struct {
	Username, Password string
	Auth               string // base64 of "user:password", used where Username is empty
	ServerAddress      string
	IdentityToken      string // refresh token of an OAuth2 token server
	RegistryToken      string // bearer token sent as it is
}

// PullRequest asks for one image.
type PullRequest struct {
	Ref      string
	Auth     *Auth          // nil: anonymous
	Progress func(Progress) // may be nil; called from several goroutines, must not block
}

// Progress tells how far one blob is.
type Progress struct {
	Digest string
	Done   int64 // bytes transferred; equal to Total when finished
	Total  int64
	Cached bool // it was here already
}

// LoadOptions change how Load names what it finds.
type LoadOptions struct {
	Name string // given to the archive's only image instead of its own names
}

// PushRequest asks for one image to be sent to the registry that its name says.
type PushRequest struct {
	Ref      string // a name of an image of this Store: "127.0.0.1:5000/web:1"
	Auth     *Auth  // nil: anonymous
	Progress func(Progress)
}

// RemoveOptions guard Remove and Prune.
type RemoveOptions struct {
	// InUse reports whether something runs from the image; nil means that nothing does.
	InUse func(Image) bool
}

// Usage is what the store takes on its file system.
type Usage struct {
	Bytes  uint64
	Inodes uint64
}
