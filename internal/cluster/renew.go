package cluster

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"time"

	"minato.dev/minato/internal/pki"
)

// renewing calls renew whenever the time at has come, on one timer. What fails is tried again, less and less often.
func renewing(ctx context.Context, log *slog.Logger, at func() time.Time, renew func(context.Context) error) error {
	const first, most = time.Minute, time.Hour
	pause := first
	for {
		wait := time.Until(at())
		if wait <= 0 {
			if err := renew(ctx); err == nil {
				log.Info("certificates renewed", "next", at())
				pause = first
				continue
			} else if ctx.Err() == nil {
				log.Warn("certificates not renewed, will try again", "err", err, "pause", pause)
			}
			wait, pause = pause, min(2*pause, most)
		} else {
			wait += rand.N(wait/100 + time.Second) // many nodes that joined at once do not ask at once
		}
		select {
		case <-time.After(min(wait, 24*time.Hour)): // a clock that is set is noticed within a day
		case <-ctx.Done():
			return nil
		}
	}
}

// shown is one certificate of a server as it is at the moment.
func (a *assembly) shown(which func(*pki.Bundle) *pki.Pair) func() *tls.Certificate {
	return func() *tls.Certificate { return &which(a.certs.Bundle()).TLS }
}

// renew keeps a server's certificates good while it runs. Whoever shows one asks for it each time; the administrator's
// file is written anew, what was merged from it into other files is not.
func (a *assembly) renew(context.Context) error {
	if err := a.certs.Renew(); err != nil {
		return err
	}
	return a.kubeconfig().WriteFile(a.paths.AdminKubeconfig())
}
