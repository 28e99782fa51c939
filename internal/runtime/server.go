package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/runtime/cgroup"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/spec"
	"minato.dev/minato/internal/shim"
)

// Server is the runtime of one node.
type Server struct {
	api.UnimplementedRuntimeServiceServer
	api.UnimplementedImageServiceServer

	cfg        Config
	log        *slog.Logger
	boot       string // this boot of the kernel
	cgroups    *cgroup.Tree
	node       spec.Node
	sandboxes  *ledger.Book[ledger.Sandbox]
	containers *ledger.Book[ledger.Container]

	shim      atomic.Pointer[shim.Client]
	locks     keyed       // one verb at a time for each sandbox or container
	naming    sync.Mutex  // held from the look for a name until its record is there
	exits     announcer   // wakes those who wait for a container's end
	events    hub         // GetContainerEvents
	samples   samples     // the last CPU reading of each cgroup
	abilities *abilities  // what other OCI runtimes can do
	layers    layerSizes  // the last walk of each writable layer
	net       networkGate // whether the pod network stands
	mending   *mending    // what could not be finished, and is tried again
	health    health      // whether the shim answers
	streams   streamer    // exec, attach, port-forward
	podCIDR   atomic.Pointer[string]
	failAt    func(point string) error // tests: dies at a point
	duration  func(point string)       // tests: told when a point is reached
}

// New opens the ledger in cfg.Root. It starts nothing and changes nothing in the kernel.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Log, mending: newMending()}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("runtime: %w", err)
	}
	s.boot = strings.TrimSpace(string(boot))
	if s.cgroups, err = cgroup.Find(); err != nil {
		return nil, fmt.Errorf("runtime: %w", err)
	}
	if s.node, err = spec.ThisNode(); err != nil {
		return nil, fmt.Errorf("runtime: %w", err)
	}
	s.node.CgroupV2, s.node.Hugetlb, s.node.SwapLimit = s.cgroups.V2(), s.cgroups.Has("hugetlb"), s.cgroups.CountsSwap()
	if err := s.openLedger(); err != nil {
		return nil, err
	}
	s.abilities = openAbilities(cfg.Root, s.log)
	return s, nil
}

func (s *Server) openLedger() error {
	var torn1, torn2 int
	var err error
	dir := filepath.Join(s.cfg.Root, "ledger")
	if s.sandboxes, torn1, err = ledger.Open[ledger.Sandbox](filepath.Join(dir, "sandboxes.journal")); err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	if s.containers, torn2, err = ledger.Open[ledger.Container](filepath.Join(dir, "containers.journal")); err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	if torn1+torn2 > 0 {
		s.log.Warn("unreadable ledger records were left out", "sandboxes", torn1, "containers", torn2, "dir", dir)
	}
	return nil
}

// Run mends what a crash left, then serves CRI on the socket until ctx ends. It calls ready once, when the socket
// answers. Containers go on running when it returns.
func (s *Server) Run(ctx context.Context, ready func()) error {
	if err := s.recover(ctx); err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	l, err := listen(s.cfg.Socket)
	if err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	return run.With(ctx, func(scope *run.Scope) error {
		if err := s.streams.start(scope, s); err != nil {
			return errors.Join(err, l.Close())
		}
		scope.Go("shim events", func(ctx context.Context) error { return s.follow(ctx, scope) })
		scope.Go("mend", func(ctx context.Context) error { return s.mendForever(ctx, scope) })
		scope.Go("abilities", s.learn)
		g := s.grpcServer()
		scope.Go("cri", func(context.Context) error { return g.Serve(l) })
		scope.Go("cri stop", func(ctx context.Context) error { <-ctx.Done(); g.Stop(); return nil })
		ready()
		return nil
	})
}

// idleWorkers are goroutines that wait for calls with stacks that have grown already; calls beyond them get new ones.
const idleWorkers = 4

// grpcServer has one answer to every error and a bound on messages.
func (s *Server) grpcServer() *grpc.Server {
	g := grpc.NewServer(
		grpc.MaxRecvMsgSize(cri.MaxMessage), grpc.MaxSendMsgSize(cri.MaxMessage),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream),
		grpc.NumStreamWorkers(idleWorkers),
	)
	api.RegisterRuntimeServiceServer(g, s)
	api.RegisterImageServiceServer(g, s)
	return g
}

// listen takes the socket over from a server that died.
func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o711); err != nil {
		return nil, err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// reach names a point that tests can stop the process at, as a kill would.
func (s *Server) reach(point string) error {
	if s.cfg.Reach != nil {
		s.cfg.Reach(point)
	}
	if s.failAt == nil {
		return nil
	}
	return s.failAt(point)
}
