package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"google.golang.org/grpc"
)

// listen serves etcd's own API to other programs of this machine.
func (s *Etcd) listen(member *etcdserver.EtcdServer, urls []string) error {
	for _, raw := range urls {
		l, err := listener(raw)
		if err != nil {
			return fmt.Errorf("store: listen for etcd clients at %s: %w", raw, err)
		}
		server := v3rpc.Server(member, nil, nil)
		s.scope.Go("etcd listener", func(context.Context) error { return ignoreStopped(server.Serve(l)) })
		s.scope.Go("etcd listener's end", func(ctx context.Context) error {
			<-ctx.Done()
			server.Stop()
			return nil
		})
	}
	return nil
}

func ignoreStopped(err error) error {
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// listener opens a unix socket that only the owner may use, or a port of loopback: plain HTTP goes no further.
func listener(raw string) (net.Listener, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "unix":
		return unixListener(u.Host + u.Path)
	case "http":
		if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
			return nil, fmt.Errorf("%s is not a loopback address; plain http is served on 127.0.0.1 or ::1 only", u.Hostname())
		}
		return net.Listen("tcp", u.Host)
	}
	return nil, fmt.Errorf("scheme %q: use unix:///path or http://127.0.0.1:port", u.Scheme)
}

func unixListener(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}
