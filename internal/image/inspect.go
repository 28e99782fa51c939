package image

import (
	"errors"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Detail is everything that is known of one image, in the words of `docker inspect` where that has them.
type Detail struct {
	ID           string              `json:"Id"`
	RepoTags     []string            `json:"RepoTags"`
	RepoDigests  []string            `json:"RepoDigests"`
	Created      time.Time           `json:"Created"`
	Loaded       time.Time           `json:"Loaded"`
	Author       string              `json:"Author,omitempty"`
	Architecture string              `json:"Architecture"`
	Variant      string              `json:"Variant,omitempty"`
	OS           string              `json:"Os"`
	Size         int64               `json:"Size"`
	Pinned       bool                `json:"Pinned"`
	Local        bool                `json:"Local"`
	Config       ocispec.ImageConfig `json:"Config"`
	RootFS       ocispec.RootFS      `json:"RootFS"`
	History      []ocispec.History   `json:"History,omitempty"`
	// Manifest is nil where a layer is here in another form only, see ErrIncomplete.
	Manifest *ocispec.Descriptor  `json:"Manifest,omitempty"`
	Layers   []ocispec.Descriptor `json:"Layers,omitempty"`
}

// Inspect tells everything about the image that ref finds. It returns ErrNotFound.
func (s *Store) Inspect(ref string) (Detail, error) {
	c, release, err := s.content(ref)
	if err == nil {
		release()
	} else if !errors.Is(err, ErrIncomplete) {
		return Detail{}, err
	}
	i := c.img
	d := Detail{ID: i.ID, RepoTags: i.Names, RepoDigests: i.Digests, Created: i.Created, Loaded: i.Loaded, Author: i.Config.Author,
		Architecture: i.Config.Architecture, Variant: i.Config.Variant, OS: i.Config.OS, Size: i.Size, Pinned: i.Pinned, Local: i.Local,
		Config: i.Config.Config, RootFS: i.Config.RootFS, History: i.Config.History}
	if c.raw != nil {
		d.Manifest, d.Layers = &c.root, c.doc.Layers
	}
	return d, nil
}
