package differential

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// A Relay carries connections to loopback into another network namespace, for programs that cannot be told to dial there.
type Relay struct {
	l    net.Listener
	wait sync.WaitGroup
}

// StartRelay listens at a free port of loopback and hands each connection on to what dial opens.
func StartRelay(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{l: l}
	ctx, cancel := context.WithCancel(ctx)
	r.wait.Go(func() {
		defer cancel()
		for {
			from, err := l.Accept()
			if err != nil {
				return // closed
			}
			r.wait.Go(func() { carry(ctx, from, dial) })
		}
	})
	return r, nil
}

// Addr is where it listens.
func (r *Relay) Addr() string { return r.l.Addr().String() }

// Close ends all connections.
func (r *Relay) Close() error {
	err := r.l.Close()
	r.wait.Wait()
	return err
}

// carry copies both ways until one side ends, or ctx does.
func carry(ctx context.Context, from net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer from.Close()
	to, err := dial(ctx)
	if err != nil {
		return // the caller sees its connection closed
	}
	defer to.Close()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(from.Close(), to.Close()) })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { copyThen(to, from) })
	copyThen(from, to)
	both.Wait()
}

// copyThen copies until the source ends and tells the destination so.
func copyThen(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if c, ok := to.(*net.TCPConn); ok && err == nil {
		err = c.CloseWrite()
	}
	if err != nil {
		_ = errors.Join(to.Close(), from.Close()) // whoever reads there sees the end
	}
}
