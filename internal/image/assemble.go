package image

import (
	"context"
	"io"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"minato.dev/minato/internal/run"
)

// naming is what an image shall be called.
type naming struct {
	names, digests []string
	pinned         bool
	local          bool // it came from no registry
	durable        bool // false: the caller checks the content itself at each start
}

// assemble makes the image under root, whose parts come from from, complete: documents, layers, record.
func (s *Store) assemble(ctx context.Context, from origin, root ocispec.Descriptor, n naming) (Image, error) {
	p, err := pick(ctx, from, root)
	if err != nil {
		return Image{}, err
	}
	plans := layerPlans(p, from)
	r := newRecord(p, plans)
	r.Pinned, r.Local, r.volatile = n.pinned, n.local, !n.durable
	keys := append([]string{}, r.Blobs...)
	for _, l := range plans {
		keys = append(keys, l.chain)
	}
	release := s.hold(keys...)
	defer release()
	for d, raw := range p.raw {
		if err := s.putBlob(d, raw, n.durable); err != nil {
			return Image{}, err
		}
	}
	if err := s.unpackAll(ctx, plans); err != nil {
		return Image{}, err
	}
	if n.durable {
		if err := s.sync(); err != nil {
			return Image{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range plans {
		u := s.chains[l.chain]
		r.Layers = append(r.Layers, layerRecord{l.chain, u.Bytes, u.Inodes})
	}
	if err := s.commit(r, n.names, n.digests); err != nil {
		return Image{}, err
	}
	return s.image(r), nil
}

func newRecord(p picked, plans []layerPlan) *record {
	r := &record{ID: p.manifest.Config.Digest.String(), Loaded: time.Now().UTC(), config: p.config}
	for _, d := range p.path {
		r.Blobs = union(r.Blobs, []string{d.Digest.String()})
	}
	r.Manifest = p.path[len(p.path)-1].Digest.String()
	r.Blobs = union(r.Blobs, []string{r.ID})
	r.Size = int64(len(p.raw[p.path[len(p.path)-1].Digest]) + len(p.raw[p.manifest.Config.Digest]))
	for _, l := range p.manifest.Layers {
		r.Blobs = union(r.Blobs, []string{l.Digest.String()})
		r.Size += l.Size
	}
	return r
}

func layerPlans(p picked, from origin) []layerPlan {
	chains := chainIDs(p.config.RootFS.DiffIDs)
	_, pulled := from.(*remote)
	var out []layerPlan
	var below []string
	for i, d := range p.manifest.Layers {
		out = append(out, layerPlan{desc: d, diff: p.config.RootFS.DiffIDs[i], chain: chains[i],
			source: from.layerSource(d), below: below, whole: pulled})
		below = append([]string{chains[i]}, below...)
	}
	if len(out) == 0 {
		out = append(out, layerPlan{chain: emptyChain.String(), diff: emptyChain, source: noLayer})
	}
	return out
}

// noLayer is the source of the one empty layer of an image without any.
func noLayer(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }

// unpackAll fetches and unpacks all layers side by side; each is finished after the one below it.
func (s *Store) unpackAll(ctx context.Context, plans []layerPlan) error {
	err := run.With(ctx, func(scope *run.Scope) error {
		var before <-chan struct{}
		for _, p := range plans {
			below, done := before, make(chan struct{})
			before = done
			scope.Go("layer "+p.chain, func(own context.Context) error {
				err := s.unpack(own, p, func(ctx context.Context) error { return waitBelow(ctx, own, below) })
				if err == nil && p.whole {
					err = s.fetchMissing(own, p)
				}
				if err == nil {
					close(done)
				}
				return err
			})
		}
		return nil
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// waitBelow blocks until the layer below is here; the lowest layer has none. The work may outlive the pull that began
// it, for the sake of another pull, but not its promise of a lower layer: then context.Canceled makes the other begin anew.
func waitBelow(ctx, owner context.Context, below <-chan struct{}) error {
	if below == nil {
		return nil
	}
	select {
	case <-below:
		return nil
	case <-owner.Done():
		return context.Canceled
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
