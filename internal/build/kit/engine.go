package kit

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/entitlements"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/worker"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/run"
)

// messages are larger than gRPC's default: a context's list of files is one.
const maxMessage = 16 << 20

// engine is BuildKit, open on one cache, and a client of it.
type engine struct {
	place  build.Place
	node   *node
	steps  *steps
	vault  *vault
	client *client.Client
	closes []func() error // in the order of opening
}

// open opens the cache and starts BuildKit's controller behind a connection that only this process has. told is called
// where the cache begins anew.
func open(ctx context.Context, p build.Place, told func(why string)) (_ *engine, err error) {
	e := &engine{place: p, node: newNode(p.Socket, p.Pull), steps: &steps{place: p}}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	v := &vault{place: p}
	if err := v.open(ctx, told); err != nil {
		return nil, err
	}
	e.vault = v
	e.closes = append(e.closes, func() error { return v.close(ctx) })
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	ctl, err := e.controller(ctx, sessions)
	if err != nil {
		return nil, err
	}
	if err := e.connect(ctx, ctl, sessions); err != nil {
		return nil, err
	}
	return e, v.marked()
}

// controller wires BuildKit together as its daemon does, with our executor, our images and nothing remote.
func (e *engine) controller(ctx context.Context, sessions *session.Manager) (*control.Controller, error) {
	w, err := e.worker(ctx)
	if err != nil {
		return nil, err
	}
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, err
	}
	cache, err := bboltcachestorage.NewStore(e.vault.db("cache.db"))
	if err != nil {
		return nil, err
	}
	history, err := boltutil.SafeOpen(e.vault.db("history.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		return nil, errors.Join(err, cache.Close())
	}
	ended := make(chan struct{})
	ctl, err := control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends:        map[string]frontend.Frontend{"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build)},
		CacheManager:     solver.NewCacheManager(ctx, "local", cache, worker.NewCacheResultStorage(workers)),
		// A step without a network of its own is what there is; see steps.
		Entitlements:   []string{string(entitlements.EntitlementNetworkHost)},
		HistoryDB:      history,
		CacheStore:     cache,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   ended,
	})
	if err != nil {
		return nil, errors.Join(err, cache.Close(), history.Close(), w.Close())
	}
	e.closes = append(e.closes, func() error { close(ended); return ctl.Close() })
	return ctl, nil
}

// connect serves the controller in process and dials it.
func (e *engine) connect(ctx context.Context, ctl *control.Controller, sessions *session.Manager) error {
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.UnaryInterceptor(grpcerrors.UnaryServerInterceptor), grpc.StreamInterceptor(grpcerrors.StreamServerInterceptor))
	ctl.Register(srv)
	scope := run.NewScope(context.WithoutCancel(ctx)) // until close: a build that is interrupted still ends in order
	scope.Go("serve", func(context.Context) error { return srv.Serve(lis) })
	e.closes = append(e.closes, func() error { srv.Stop(); return scope.Wait() })
	c, err := client.New(ctx, "", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		client.WithSessionDialer(sessionDialer(scope, sessions)))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	e.client = c
	e.closes = append(e.closes, c.Close)
	return nil
}

// close closes everything in the reverse order.
func (e *engine) close() error {
	var errs []error
	for len(e.closes) > 0 {
		last := len(e.closes) - 1
		errs = append(errs, e.closes[last]())
		e.closes = e.closes[:last]
	}
	return errors.Join(errs...)
}
