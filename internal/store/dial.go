package store

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"minato.dev/minato/internal/run"
)

// Dial uses the etcd at endpoints; secure may be nil for http endpoints. ctx bounds the first answer alone.
func Dial(ctx context.Context, endpoints []string, secure *tls.Config, log *slog.Logger) (*Etcd, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		TLS:                  secure,
		DialTimeout:          10 * time.Second,
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		Logger:               zap.New(newZapCore(log)),
	})
	if err != nil {
		return nil, fmt.Errorf("store: dial etcd at %v: %w", endpoints, err)
	}
	s := newEtcd(client, run.NewScope(context.WithoutCancel(ctx)), log)
	if _, err := s.Revision(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("store: ask etcd at %v: %w", endpoints, err)
	}
	return s, nil
}
