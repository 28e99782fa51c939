package kubelet

import (
	"context"
	"time"

	"minato.dev/minato/internal/cri"
)

// housekeep does what has to be done now and then; keepNode calls it each period.
func (k *Kubelet) housekeep(ctx context.Context) {
	k.look(ctx)
	if k.pulled.Swap(false) || time.Since(k.self.reported) >= reportPeriod {
		k.listImages(ctx)
	}
	k.rotateLogs(ctx)
	k.evictOverfull(ctx)
	k.evictForPressure(ctx, time.Now())
	if err := k.collectImages(ctx, time.Now()); err != nil && ctx.Err() == nil && !cri.IsUnimplemented(err) {
		k.cfg.Log.Warn("images not collected", "err", err)
	}
}
