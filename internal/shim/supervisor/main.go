package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/crilog"
	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// Names under which the keeper holds what belongs to the shim itself.
const (
	heldListener   = "listener"
	heldScratchOut = "scratch/out"
	heldScratchIn  = "scratch/in"
)

// Main is the shim: args are RUNDIR, the keeper's pid, the count of starts, and after an upgrade the keeper's
// descriptor (else 3) and the count of upgrades. It returns after Shutdown.
func Main(ctx context.Context, version string, args []string) error {
	debug.SetGCPercent(50)
	// What it does is short and seldom, and waits: a second processor only has its threads wake each other.
	runtime.GOMAXPROCS(1)
	s, fd, err := newSupervisor(version, args)
	if err != nil {
		return err
	}
	unix.CloseOnExec(fd)
	s.keeper = hold.New(os.NewFile(uintptr(fd), "keeper"))
	if err := s.open(ctx); err != nil {
		return err
	}
	return run.With(ctx, func(sc *run.Scope) error {
		s.scope, s.stop = sc, sc.Stop
		if _, err := s.pump.add(s.keeper.Fd(), unix.EPOLLIN, s.keeperReady); err != nil {
			return err
		}
		sc.Go("pump", s.pump.run)
		l, err := listener(s.listen)
		if err != nil {
			return err
		}
		if err := s.vouch(); err != nil {
			return err
		}
		s.keeperSpoke()
		return s.serve(sc.Context(), l)
	})
}

func newSupervisor(version string, args []string) (*Supervisor, int, error) {
	number := func(i, fallback int) int {
		if i < len(args) {
			if n, err := strconv.Atoi(args[i]); err == nil {
				return n
			}
		}
		return fallback
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, 0, err
	}
	p, err := newPump()
	if err != nil {
		return nil, 0, err
	}
	return &Supervisor{
		runDir: args[0], pump: p, log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		info: shim.Info{Version: version, Pid: os.Getpid(), Binary: exe, StartedAt: time.Now(),
			KeeperPid: number(1, 0), Restarts: number(2, 0), Upgrades: number(4, 0)},
		containers: map[string]*container{}, sessions: map[string]*session{}, refused: map[string]time.Time{}, watched: map[int]*watch{}, fifos: map[string]chan struct{}{},
	}, number(3, 3), nil
}

// open takes everything back that the last shim left, or makes it.
func (s *Supervisor) open(ctx context.Context) error {
	if err := wipeAfterReboot(s.runDir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.sessionsDir(), 0o700); err != nil {
		return err
	}
	base, err := nextBase(filepath.Join(s.runDir, "seq"))
	if err != nil {
		return err
	}
	s.events = newEvents(base)
	if s.self, err = openSelf(); err != nil {
		s.log.Warn("exec sessions go the long way", "err", err)
	}
	held, err := s.keeper.List()
	if err != nil {
		return err
	}
	if err := s.openScratch(held); err != nil {
		return err
	}
	if s.table, err = crilog.OpenTable(filepath.Join(s.runDir, "logs"), s.scratch[1], s.scratch[0]); err != nil {
		return err
	}
	if s.exits, err = hold.OpenExits(s.runDir); err != nil {
		return err
	}
	if err := s.openListener(held); err != nil {
		return err
	}
	if err := s.recover(ctx, held); err != nil {
		return err
	}
	for name, f := range held { // of containers that were being deleted
		_ = s.keeper.Drop(name)
		f.Close()
	}
	return nil
}

// nextBase makes event numbers grow over restarts even if the clock is set back.
func nextBase(path string) (uint64, error) {
	var last uint64
	if err := jail.ReadJSON(path, &last); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	base := max(uint64(time.Now().UnixMicro()), last+1<<20)
	return base, jail.WriteJSON(path, base)
}

func (s *Supervisor) openScratch(held map[string]*os.File) error {
	s.scratch = [2]*os.File{held[heldScratchOut], held[heldScratchIn]}
	delete(held, heldScratchOut)
	delete(held, heldScratchIn)
	if s.scratch[0] == nil || s.scratch[1] == nil {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return os.NewSyscallError("pipe", err)
		}
		s.scratch = [2]*os.File{os.NewFile(uintptr(fds[0]), "scratch"), os.NewFile(uintptr(fds[1]), "scratch")}
		return errors.Join(s.keeper.Hold(heldScratchOut, s.scratch[0]), s.keeper.Hold(heldScratchIn, s.scratch[1]))
	}
	return nil
}

func (s *Supervisor) socketPath() string { return filepath.Join(s.runDir, shim.SocketName) }

// openListener finds the listening socket at the keeper, where clients' connections queue while no shim runs.
func (s *Supervisor) openListener(held map[string]*os.File) error {
	if s.listen = held[heldListener]; s.listen != nil {
		delete(held, heldListener)
		return nil
	}
	path := s.socketPath()
	if err := removeIfThere(path); err != nil {
		return err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	if s.listen, err = l.File(); err != nil {
		return err
	}
	return s.keeper.Hold(heldListener, s.listen)
}

func listener(f *os.File) (*net.UnixListener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, fmt.Errorf("the keeper's listener is a %T", l)
	}
	u.SetUnlinkOnClose(false)
	return u, nil
}

// vouch tells the keeper to start this binary from now on: it has got as far as serving.
func (s *Supervisor) vouch() error {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer exe.Close()
	return s.keeper.Commit(exe)
}

func (s *Supervisor) keeperReady(uint32) {
	opened, err := s.keeper.Recv()
	switch {
	case opened != "":
		s.fifoOpened(opened)
	case errors.Is(err, unix.EAGAIN):
	case err != nil:
		s.keeperGone()
	default:
		s.keeperSpoke()
	}
}
