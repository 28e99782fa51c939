package differential

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"minato.dev/minato/bench/upstream"
)

// Both is the two servers, each fresh.
type Both struct {
	Server   *Server
	Upstream *upstream.Cluster
	Ours     *Side
	Theirs   *Side
}

// StartBoth starts ours in dir and upstream's from the programs in upstream.Dir, which are built where they are missing.
func StartBoth(ctx context.Context, dir string, log *slog.Logger) (*Both, error) {
	if err := upstream.Build(ctx, upstream.Dir(), upstream.Plane...); err != nil {
		return nil, err
	}
	c, err := upstream.New(ctx, upstream.Dir())
	if err != nil {
		return nil, err
	}
	b := &Both{Upstream: c}
	if err := errors.Join(c.StartEtcd(ctx), c.StartAPI(ctx)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if b.Server, err = StartServer(ctx, filepath.Join(dir, "ours"), log); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	b.Ours = NewSide("ours", b.Server.URL, b.Server.TLS(), nil)
	b.Theirs = NewSide("upstream", c.URL(), c.TLS(), c.Net.DialContext)
	return b, nil
}

// Close stops both and removes what they made.
func (b *Both) Close() error {
	b.Ours.Close()
	b.Theirs.Close()
	return errors.Join(b.Server.Close(), b.Upstream.Close())
}
