package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/crilog"
	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// validID is 1 to 128 characters of [a-zA-Z0-9_.-], the first alphanumeric. No regular expression: compiling it would
// cost every helper more than everything else before main.
func validID(id string) bool {
	for i := range len(id) {
		c := id[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 128
}

func notFound(what, id string) error { return fmt.Errorf("%s %q: %w", what, id, shim.ErrNotFound) }

func invalid(format string, a ...any) error {
	return fmt.Errorf("%w: %s", shim.ErrInvalid, fmt.Sprintf(format, a...))
}

// create makes a container or finds the one that an earlier, unanswered call made.
func (s *Supervisor) create(ctx context.Context, r shim.CreateRequest) (pid int, err error) {
	spec, err := checkRequest(r)
	if err != nil {
		return 0, err
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	c, fresh, err := s.claim(r, spec)
	if err != nil {
		return 0, err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if !fresh {
		return s.again(c, r)
	}
	if err := s.build(ctx, c, spec); err != nil {
		s.undo(ctx, c)
		return 0, fmt.Errorf("container %s: %w: %w", r.ID, shim.ErrCreate, err)
	}
	return s.snapshot(c).Pid, nil
}

func checkRequest(r shim.CreateRequest) (*jail.Bundle, error) {
	switch {
	case !validID(r.ID):
		return nil, invalid("id %q: must be 1 to 128 characters of [a-zA-Z0-9_.-], the first alphanumeric", r.ID)
	case !filepath.IsAbs(r.Bundle):
		return nil, invalid("bundle %q: must be an absolute path", r.Bundle)
	case r.LogPath != "" && !filepath.IsAbs(r.LogPath):
		return nil, invalid("logPath %q: must be an absolute path", r.LogPath)
	case r.Runtime != "" && !filepath.IsAbs(r.Runtime):
		return nil, invalid("runtime %q: must be an absolute path", r.Runtime)
	case r.LogMaxSize < 0 || r.LogMaxFiles < 0:
		return nil, invalid("logMaxSize and logMaxFiles must not be negative")
	}
	spec, err := jail.LoadBundle(r.Bundle)
	if err != nil {
		return nil, invalid("%v", err)
	}
	return spec, nil
}

// claim registers a new container, or returns the one of that ID and false.
func (s *Supervisor) claim(r shim.CreateRequest, spec *jail.Bundle) (c *container, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[r.ID]; c != nil {
		return c, false, nil
	}
	if s.refusedLately(r.ID) {
		return nil, false, fmt.Errorf("container %q was deleted by its caller: %w", r.ID, shim.ErrState)
	}
	slot := 0
	for slot < len(s.slots) && s.slots[slot] {
		slot++
	}
	if slot == len(s.slots) {
		return nil, false, fmt.Errorf("%w: the node already has %d containers", shim.ErrCreate, len(s.slots))
	}
	s.slots[slot] = true
	c = newContainer(s.containerDir(r.ID), record{
		Request: r, Slot: slot, CreatedAt: time.Now(),
		Cgroup: spec.Linux.CgroupsPath, Terminal: spec.Process.Terminal, Bound: r.Runtime == "" && bound(spec),
		Hooks: r.Runtime == "" && spec.Hooks != nil && len(spec.Hooks.Poststart)+len(spec.Hooks.Poststop) > 0,
	})
	s.containers[r.ID] = c
	return c, true, nil
}

func newContainer(dir string, rec record) *container {
	r := rec.Request
	return &container{rec: rec, dir: dir, exited: make(chan struct{}), attached: map[*attachment]struct{}{},
		state: shim.ContainerState{ID: r.ID, Bundle: r.Bundle, Status: shim.Created, LogPath: r.LogPath,
			CgroupPath: rec.Cgroup, Terminal: rec.Terminal, CreatedAt: rec.CreatedAt}}
}

// again answers a repeated Create.
func (s *Supervisor) again(c *container, r shim.CreateRequest) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone || c.state.Status != shim.Created && !r.Run || !reflect.DeepEqual(c.rec.Request, r) {
		return 0, fmt.Errorf("container %q: %w", r.ID, shim.ErrExists)
	}
	return c.state.Pid, nil
}

// build does the work of create. Everything that a crash could leave behind is in the record first.
func (s *Supervisor) build(ctx context.Context, c *container, spec *jail.Bundle) error {
	p, err := newPipes(c.rec.Terminal, c.rec.Request.Stdin)
	if err != nil {
		return err
	}
	defer p.closeTheirs()
	c.rec.Pipes = p.inodes
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := jail.WriteJSON(filepath.Join(c.dir, recordFile), c.rec); err != nil {
		return err
	}
	if err := s.openLog(c); err != nil {
		return err
	}
	if err := s.adoptPipes(c, p); err != nil {
		return err
	}
	began := time.Now()
	result, runs, err := s.make(ctx, c, spec, p)
	if err != nil {
		return err
	}
	if c.rec.Terminal {
		if err := s.receiveConsole(c, p.consoleOurs); err != nil {
			return err
		}
	}
	if runs {
		return s.live(c, result, began)
	}
	if err := s.live(c, result, time.Time{}); err != nil || !c.rec.Request.Run {
		return err
	}
	return s.startMade(ctx, c)
}

// make has the container made by the way that fits it, and reports whether its process runs already.
func (s *Supervisor) make(ctx context.Context, c *container, spec *jail.Bundle, p *pipes) (result made, runs bool, err error) {
	if foreign(c) {
		result.Result, err = s.makeForeign(ctx, c, p)
		return result, false, err
	}
	r := c.rec.Request
	req := jail.Request{Root: s.jailRoot(), ID: r.ID, Bundle: r.Bundle, Terminal: c.rec.Terminal}
	result, err = s.buildSwiftly(c, req, spec, p.theirs)
	runs = r.Run && err == nil
	if errors.Is(err, jail.ErrUnfit) {
		if err = os.RemoveAll(filepath.Join(s.jailRoot(), r.ID)); err == nil {
			result.Result, err = s.help(ctx, "create", filepath.Join(c.dir, createDir), req, p.theirs, p.consoleTheirs)
		}
	}
	return result, runs, err
}

// live makes a built container one that is watched, and one that runs where its process has begun already.
func (s *Supervisor) live(c *container, m made, began time.Time) error {
	r, pidfd := m.Result, m.pidfd
	if pidfd == nil {
		var err error
		if pidfd, err = hold.OpenPid(r.Pid, r.StartTime); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pidfd of init: %w", err)
		}
	}
	if pidfd != nil {
		if err := s.hold(c.rec.Request.ID, heldPidfd, pidfd); err != nil {
			return err
		}
	}
	if began.IsZero() {
		s.watchContainer(c, r, pidfd)
		return nil
	}
	s.mu.Lock()
	c.starting = true // its end is told after its start
	s.mu.Unlock()
	s.watchContainer(c, r, pidfd)
	s.endStart(c, began, true)
	return nil
}

// watchContainer waits for the end of init from now on; it may have come already.
func (s *Supervisor) watchContainer(c *container, r jail.Result, pidfd *os.File) {
	s.mu.Lock()
	c.state.Pid, c.startTime, c.pidfd, c.cgroups = r.Pid, r.StartTime, pidfd, r.CgroupPaths
	if !c.known {
		c.known = true
		s.tell(c, shim.EventCreated)
	}
	s.mu.Unlock()
	s.watchOOM(c)
	s.watchResult(r, pidfd, false, func(x hold.Exit, reason string) { s.containerExited(c, x, reason) })
}

func (s *Supervisor) openLog(c *container) error {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	if c.rec.Request.KeepEarly {
		c.early = &[2][]byte{}
	}
	log, err := s.table.NewLog(c.rec.Slot, s.logOptions(c))
	c.log = log
	return err
}

func (s *Supervisor) logOptions(c *container) crilog.Options {
	r := c.rec.Request
	return crilog.Options{
		Path: r.LogPath, MaxSize: r.LogMaxSize, MaxFiles: r.LogMaxFiles, Tap: s.tap(c),
		Keep: func(f *os.File) error { return s.hold(r.ID, heldLog, f) },
	}
}

// undo removes what a failed creation left.
func (s *Supervisor) undo(ctx context.Context, c *container) {
	if err := s.destroy(ctx, c); err != nil {
		s.log.Error("a failed container could not be removed whole", "container", c.rec.Request.ID, "err", err)
	}
}
