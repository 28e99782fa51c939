package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/logs"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
)

// A host serves the node of a data directory, its images and containers, while no cluster does: for the commands `minato
// run`, `minato image` and their like, which are all clients of the local socket and of the container runtime. There is
// one lock for both kinds, so there is one at a time, and one ledger, image store, network and shim. A host ends by itself
// when no command is connected and no container needs it, or at once when a cluster wants to start. The containers go on:
// they are the shim's.

// hostIdle is how long a host waits for the next command.
const hostIdle = 2 * time.Second

// Host serves the node of cfg.DataDir until nobody needs it or ctx ends. ready is called once, when it answers. It
// returns ErrRunning where a cluster or another host serves the node already.
func Host(ctx context.Context, cfg Config, ready func()) error {
	cfg, err := cfg.Complete()
	if err != nil {
		return err
	}
	if err := CheckDataDir(cfg.DataDir); err != nil {
		return err
	}
	held, err := lockAs(Paths{Data: cfg.DataDir}.lock(), hostKind)
	if err != nil {
		return err
	}
	defer held.Close()
	a, err := prepare(cfg, true)
	if err != nil {
		return err
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	n := &node{a: a, visitors: &visitors{leave: leave, changed: make(chan struct{}, 1)}}
	err = run.With(ctx, func(s *run.Scope) error {
		s.Go("node", func(ctx context.Context) error {
			return n.run(ctx, func() {
				n.keeper.Changed = n.visitors.changed
				ready()
				s.Go("idle", func(ctx context.Context) error { return n.leaveWhenIdle(ctx, leave) })
			})
		})
		return nil
	})
	if n.idle {
		err = errors.Join(err, a.stopEmptyShim(context.WithoutCancel(ctx)))
	}
	return err
}

// stopEmptyShim ends a shim that has no container, so that a machine on which nothing runs has no process of ours.
func (a *assembly) stopEmptyShim(ctx context.Context) error {
	cfg, err := a.shimConfig()
	if err != nil {
		return err
	}
	c, err := shim.Ensure(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Shutdown(ctx); !errors.Is(err, shim.ErrBusy) {
		return err
	}
	return nil
}

// leaveWhenIdle ends the host when nobody has been connected for hostIdle and no container needs it. It looks again only
// when something has changed.
func (n *node) leaveWhenIdle(ctx context.Context, leave func()) error {
	t := time.NewTimer(hostIdle)
	defer t.Stop()
	for {
		select {
		case <-n.visitors.changed:
			t.Reset(hostIdle)
		case <-t.C:
			if n.visitors.none() && !n.keeper.Needed(ctx) {
				n.idle = true
				leave()
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// visitors counts the commands that are connected to a host.
type visitors struct {
	leave   func()
	changed chan struct{}

	mu sync.Mutex
	n  int
}

func (v *visitors) add(n int) {
	v.mu.Lock()
	v.n += n
	v.mu.Unlock()
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

func (v *visitors) none() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.n == 0
}

// hold is asked by every command for as long as it works: it answers at once and ends its answer with the command.
func (v *visitors) hold(w http.ResponseWriter, r *http.Request) {
	if v != nil {
		v.add(1)
		defer v.add(-1)
	}
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	<-r.Context().Done()
}

// leaveNow is asked by a cluster that wants to start.
func (v *visitors) leaveNow(w http.ResponseWriter, _ *http.Request) {
	if v == nil {
		http.Error(w, "this is a cluster", http.StatusConflict)
		return
	}
	v.leave()
}

// keep looks after the containers of `minato run`.
func (a *assembly) keeper(c *cri.Client) *container.Keeper {
	return &container.Keeper{Engine: a.paths.engine(a.id, c), Log: a.log.With("room", "container")}
}

// engine makes containers through c.
func (p Paths) engine(id Identity, c *cri.Client) *container.Engine {
	return &container.Engine{Runtime: c.RuntimeServiceClient, Cgroup: id.cgroup() + "/run", Logs: p.runLogs(), Volumes: container.Volumes(p.volumes())}
}

// Node is a connection to whoever serves the node of a data directory.
type Node struct {
	Engine *container.Engine
	Socket string // of image verbs
	Runs   string // the runtime's volatile directory

	cri  *cri.Client
	hold *http.Response
	shim shim.Config
}

// Close lets go of it.
func (n *Node) Close() error { return errors.Join(n.cri.Close(), n.hold.Body.Close()) }

// Shim connects to the parent of all containers.
func (n *Node) Shim(ctx context.Context) (*shim.Client, error) { return shim.Ensure(ctx, n.shim) }

// Down reports whether the node was taken down: its containers have no parent any more.
func (n *Node) Down() bool {
	_, err := os.Stat(filepath.Join(n.shim.RunDir, shim.SocketName))
	return errors.Is(err, fs.ErrNotExist)
}

// ErrNobody is returned by Reach where nobody serves the node.
var ErrNobody = errors.New("nobody serves the node")

// Reach connects to the cluster or host that serves the node of a data directory. It returns ErrNobody where there is
// none, or none yet.
func Reach(ctx context.Context, data string) (*Node, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	id, err := ReadIdentity(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	paths := id.paths(data)
	if pid, _, err := holder(data); err != nil || pid == 0 {
		return nil, errors.Join(ErrNobody, err)
	}
	a := &assembly{id: id, paths: paths, log: slog.New(slog.DiscardHandler)}
	helper, err := a.shimConfig()
	if err != nil {
		return nil, err
	}
	hold, err := AskLocal(ctx, paths.LocalSocket(), http.MethodGet, "/hold", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	c, err := cri.Dial(ctx, paths.CRISocket())
	if err != nil {
		hold.Body.Close()
		return nil, err
	}
	return &Node{Engine: paths.engine(id, c), Socket: paths.LocalSocket(), Runs: paths.Run + "/runtime", cri: c, hold: hold, shim: helper}, nil
}

// HoldOverExec keeps a host of n from ending until this process has, whatever program it becomes: the connection is left
// open and handed on.
func HoldOverExec(ctx context.Context, n *Node) error {
	return build.Hold(ctx, n.Socket)
}

// Log writes a container's log, its rotated files first, and what it gets until ended is closed. Where only the last
// lines are wanted, only the newest file is looked at.
func Log(ctx context.Context, w io.Writer, path string, o logs.Options, ended <-chan struct{}) error {
	if o.Tail == nil {
		for _, old := range []string{path + ".2", path + ".1"} {
			if err := logs.Read(w, old, o); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	err := logs.Follow(ctx, w, path, o, ended)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has not begun, and has written nothing
	}
	return err
}

// LogOptions choose what of a log is written.
type LogOptions = logs.Options
