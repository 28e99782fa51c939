package cluster

import (
	"context"
	"time"
)

// again tries until that succeeds, fails in a way of which hope says that another try would not mend it, or ctx ends. The
// pause between tries, which hope is told, grows from first to 5 s.
func again(ctx context.Context, first time.Duration, try func() error, hope func(err error, pause time.Duration) bool) error {
	for pause := first; ; pause = min(2*pause, 5*time.Second) {
		err := try()
		if err == nil || ctx.Err() != nil || !hope(err, pause) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
