package upstream

import (
	"context"
	"path/filepath"
)

// StartRuntime starts containerd alone, with the image in archive (as of `docker save`), and returns its socket.
func (c *Cluster) StartRuntime(ctx context.Context, cni, archive string) (socket string, err error) {
	for _, step := range []func() error{
		func() error { return c.link(ctx) },
		func() error { return c.nodeFiles(cni) },
		func() error { return c.startContainerd(ctx) },
		func() error { return c.awaitContainerd(ctx) },
		func() error { return c.importImage(ctx, pauseImage, filepath.Join(c.bin, "pause")) },
		func() error { return c.ctr(ctx, "images", "import", archive) },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	return c.socket(), nil
}

// Import gives the runtime, which has been started, an image from an archive.
func (c *Cluster) Import(ctx context.Context, archive string) error {
	if err := c.awaitContainerd(ctx); err != nil {
		return err
	}
	return c.ctr(ctx, "images", "import", archive)
}
