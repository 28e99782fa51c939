package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/run"
)

// Keeper does what must be done after a container has ended while no command waits for it: it removes those that wish
// so, starts those again whose policy says so, and gives the network of the others back.
type Keeper struct {
	Engine *Engine
	Log    *slog.Logger
	// Revive has those run again that an earlier boot left with such a policy.
	Revive bool
	// Changed, if not nil, is told when an end has been dealt with, so that Needed may be asked again.
	Changed chan<- struct{}

	mu   sync.Mutex
	busy map[string]bool          // by sandbox: an end is being dealt with; true: another was heard of
	last map[string]time.Duration // by sandbox: the pause before its last restart
}

const (
	firstPause = 100 * time.Millisecond
	mostPause  = time.Minute
	// goodRun is how long a container must have run for its next restart to come at once again.
	goodRun = 10 * time.Second
)

// Run keeps containers until ctx ends. A stream of events that breaks is opened again.
func (k *Keeper) Run(ctx context.Context) error {
	k.mu.Lock()
	k.busy, k.last = map[string]bool{}, map[string]time.Duration{}
	k.mu.Unlock()
	return run.With(ctx, func(s *run.Scope) error {
		for pause := firstPause; s.Context().Err() == nil; pause = min(2*pause, mostPause) {
			if err := k.follow(s); err != nil && s.Context().Err() == nil {
				k.Log.Warn("the containers of `minato run` are not watched", "err", err, "again", pause)
			}
			sleep(s.Context(), pause)
		}
		return nil
	})
}

func (k *Keeper) follow(s *run.Scope) error {
	ctx, stop := context.WithCancel(s.Context())
	defer stop()
	events, err := k.Engine.Runtime.GetContainerEvents(ctx, &cri.GetEventsRequest{})
	if err != nil {
		return err
	}
	if _, err := events.Header(); err != nil {
		return err
	}
	for {
		all, err := k.Engine.List(ctx)
		if err != nil {
			return err
		}
		for _, c := range all {
			k.look(s, c)
		}
		if err := ourEnd(events); err != nil {
			return err
		}
	}
}

// ourEnd blocks until a container of ours has ended.
func ourEnd(events interface {
	Recv() (*cri.ContainerEventResponse, error)
}) error {
	for {
		e, err := events.Recv()
		if err != nil {
			return err
		}
		if e.ContainerEventType == cri.ContainerEventType_CONTAINER_STOPPED_EVENT && e.PodSandboxStatus.GetLabels()[Label] != "" {
			return nil
		}
	}
}

// look deals with c if it has ended, each sandbox once at a time. An end that comes meanwhile is dealt with after it.
func (k *Keeper) look(s *run.Scope, c Container) {
	if !c.Exited() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, busy := k.busy[c.Sandbox]; busy {
		k.busy[c.Sandbox] = true
		return
	}
	k.busy[c.Sandbox] = false
	s.Go("ended "+c.Spec.Name, func(ctx context.Context) error {
		k.deal(ctx, c)
		return nil
	})
}

func (k *Keeper) deal(ctx context.Context, c Container) {
	for ctx.Err() == nil {
		if c.Exited() {
			if err := k.ended(ctx, c); err != nil && ctx.Err() == nil {
				k.Log.Warn("a container that ended could not be dealt with", "container", c.Spec.Name, "err", err)
			}
		}
		if k.done(c.Sandbox) {
			return
		}
		next, err := k.Engine.Find(ctx, c.Spec.Name)
		if err != nil || next.Sandbox != c.Sandbox || next.ID == c.ID {
			c.State = cri.ContainerState_CONTAINER_UNKNOWN // nothing new: only let go
			continue
		}
		c = next
	}
	k.done(c.Sandbox)
}

// done reports that nothing new was heard of the sandbox, and lets go of it.
func (k *Keeper) done(sandbox string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[sandbox] {
		k.busy[sandbox] = false
		return false
	}
	delete(k.busy, sandbox)
	select {
	case k.Changed <- struct{}{}:
	default:
	}
	return true
}

func (k *Keeper) ended(ctx context.Context, c Container) error {
	switch {
	case c.Spec.Remove:
		if !c.Spec.Detached { // whoever started it wants to learn how it ended, and removes it then
			awaitProcess(ctx, c.Spec.Owner)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return k.Engine.Remove(ctx, c, true, true)
	case c.Ready && k.again(c):
		return k.restart(ctx, c)
	case c.Ready:
		return k.Engine.rest(ctx, c)
	case k.Revive && k.Engine.WantedAfterBoot(c):
		k.Log.Info("a container is started again", "container", c.Spec.Name)
		_, err := k.Engine.again(ctx, c, how{counted: true})
		return err
	}
	return nil
}

// again decides whether the container is to be started once more.
func (k *Keeper) again(c Container) bool {
	if k.Engine.Stopped(c) {
		return false
	}
	r := c.Spec.Restart
	if r.OnFailure && c.ExitCode != 0 {
		return r.Most == 0 || int(c.Attempt) < r.Most
	}
	return r.Always
}

// WantedAfterBoot reports whether c does not run although its policy wants it to, unless a user stopped it: so it is after
// a reboot or `minato down`.
func (e *Engine) WantedAfterBoot(c Container) bool {
	return c.Exited() && !c.Ready && c.Spec.Restart.Always && !e.Stopped(c)
}

// restart makes the sandbox's next container after a pause that grows while it keeps ending.
func (k *Keeper) restart(ctx context.Context, c Container) error {
	if !sleep(ctx, k.pause(c)) {
		return ctx.Err()
	}
	if !k.again(c) { // stopped while we waited
		return k.Engine.rest(ctx, c)
	}
	_, err := k.Engine.again(ctx, c, how{counted: true})
	return err
}

func (k *Keeper) pause(c Container) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	pause := min(max(2*k.last[c.Sandbox], firstPause), mostPause)
	if c.Finished.Sub(c.Started) >= goodRun {
		pause = firstPause
	}
	k.last[c.Sandbox] = pause
	return pause
}

// Needed reports whether a container runs, or has ended, of which the Keeper has still to do something.
func (k *Keeper) Needed(ctx context.Context) bool {
	k.mu.Lock()
	busy := len(k.busy) > 0
	k.mu.Unlock()
	if busy {
		return true
	}
	all, err := k.Engine.List(ctx)
	if err != nil {
		return true
	}
	for _, c := range all {
		if r := c.Spec.Restart; c.Running() && (c.Spec.Remove || r.Always || r.OnFailure) {
			return true
		}
	}
	return false
}

// ThisProcess is the calling process.
func ThisProcess() Process {
	pid := os.Getpid()
	return Process{PID: pid, Start: startOf(pid)}
}

// startOf reads when a process started; "" where there is none.
func startOf(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	if f := strings.Fields(rest); len(f) > 19 {
		return f[19]
	}
	return ""
}

// awaitProcess returns when p has ended or ctx has.
func awaitProcess(ctx context.Context, p Process) {
	if p.PID == 0 {
		return
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if startOf(p.PID) != p.Start {
		return // the number is another process's by now
	}
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 200)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
