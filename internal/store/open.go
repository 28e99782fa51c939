package store

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
)

// Config is how Open runs etcd inside the program. The zero value of every field but Dir and Log is usable.
type Config struct {
	// Dir is the data directory; it belongs to this store alone.
	Dir string
	// ListenClients are URLs for other programs: unix:///path/to/socket, or http://127.0.0.1:2379 on loopback. None by default.
	ListenClients []string
	// QuotaBytes bounds the database file; 0 means 8 GiB.
	QuotaBytes int64
	// Log receives etcd's warnings and errors and the store's own messages.
	Log *slog.Logger
}

// Etcd is a Store in etcd, in this process or elsewhere.
type Etcd struct{}

// Open starts a single etcd member on cfg.Dir, which is made where missing, and returns when it serves. ctx bounds the
// start alone; the store lives until Close.
func Open(ctx context.Context, cfg Config) (*Etcd, error) { return nil, errors.ErrUnsupported }

// Dial uses the etcd at endpoints; secure may be nil for http endpoints. ctx bounds the first answer alone.
func Dial(ctx context.Context, endpoints []string, secure *tls.Config, log *slog.Logger) (*Etcd, error) {
	return nil, errors.ErrUnsupported
}
