package supervisor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// A session is one process beside a container's init, from Exec until its end is known and it is forgotten. Guarded by
// Supervisor.mu.
type session struct {
	rec     sessionRecord
	path    string // of its note, or of a directory with its record where a helper enters
	pid     int
	pidfd   *os.File
	console *os.File // only until the reply that carries it
	result  shim.ExecResult
	ended   chan struct{}
	foreign bool // of another OCI runtime's container
	// abandoned sessions are forgotten as soon as they end.
	abandoned bool
	// doomed sessions were killed before they had begun.
	doomed bool
}

// A sessionRecord is what is on disk.
type sessionRecord struct {
	ID        string `json:"id"`
	Container string `json:"container"`
}

const (
	sessionFile = "session.json"
	// keptSessions is how long an ended session waits to be asked for: longer than a client keeps trying to reach us.
	keptSessions = time.Minute
)

// exec starts a process in a running container.
func (s *Supervisor) exec(ctx context.Context, id string, r shim.ExecRequest, stdio [3]*os.File) (*session, error) {
	if len(r.Args) == 0 {
		return nil, invalid("args: must name a program")
	}
	if r.ExecID == "" {
		r.ExecID = randomID()
	}
	if !validID(r.ExecID) {
		return nil, invalid("execID %q: must be 1 to 128 characters of [a-zA-Z0-9_.-]", r.ExecID)
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	c, err := s.find(id)
	if err != nil {
		return nil, err
	}
	x, fresh, err := s.claimSession(c, r.ExecID)
	if err != nil || !fresh {
		return x, err
	}
	if err := s.enter(ctx, c, x, r, stdio); err != nil {
		s.forgetSession(x)
		return nil, fmt.Errorf("exec in container %q: %w: %w", id, shim.ErrCreate, err)
	}
	return x, nil
}

func (s *Supervisor) claimSession(c *container, execID string) (x *session, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.sessions[execID]; x != nil {
		return x, false, nil
	}
	if s.refusedLately(execID) {
		return nil, false, fmt.Errorf("exec session %q was closed by its caller: %w", execID, shim.ErrState)
	}
	if c.state.Status != shim.Running {
		return nil, false, fmt.Errorf("exec in container %q, which is %s: %w", c.state.ID, c.state.Status, shim.ErrState)
	}
	x = &session{rec: sessionRecord{ID: execID, Container: c.state.ID}, foreign: foreign(c), path: s.sessionPath(execID), ended: make(chan struct{})}
	s.sessions[execID] = x
	return x, true, nil
}

func (s *Supervisor) enter(ctx context.Context, c *container, x *session, r shim.ExecRequest, stdio [3]*os.File) error {
	req := jail.Request{Root: s.jailRoot(), ID: x.rec.Container, Bundle: c.rec.Request.Bundle, Terminal: r.TTY, Made: s.made(c)}
	req.Exec = &jail.ExecProcess{Args: r.Args, Env: r.Env, Cwd: r.Cwd, Width: r.Width, Height: r.Height}
	if u := r.User; u != nil {
		req.Exec.User = &specs.User{UID: u.UID, GID: u.GID, AdditionalGids: u.AdditionalGids}
	}
	var ours, theirs *os.File
	if r.TTY {
		var err error
		if ours, theirs, err = socketpair(); err != nil {
			return err
		}
		defer closeFiles(ours, theirs)
	}
	result, err := s.begin(ctx, c, x, req, stdio, theirs)
	if err != nil {
		return err
	}
	if r.TTY {
		if x.console, err = receiveFile(ours); err != nil {
			return fmt.Errorf("receive terminal: %w", err)
		}
	}
	s.watchSession(x, result)
	return nil
}

// writeRecord makes a record that nothing depends on before it is there: one that a crash left torn is as good as none.
func writeRecord(path string, rec sessionRecord) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// begin starts the session's process by the way that fits it.
func (s *Supervisor) begin(ctx context.Context, c *container, x *session, req jail.Request, stdio [3]*os.File, console *os.File) (m made, err error) {
	verb := "foreign-exec"
	if foreign(c) {
		req = s.foreignRequest(c, req)
	} else {
		if m, err = s.enterSwiftly(c, x, req, stdio); !errors.Is(err, jail.ErrUnfit) {
			return m, err
		}
		verb, req.Above = "exec", slices.Collect(maps.Values(jail.Above(c.rec.Cgroup, req.Made.CgroupPaths)))
	}
	// The record comes first: after a crash the session is found with the helper's answer, and not started twice.
	if err := os.MkdirAll(x.path, 0o700); err != nil {
		return m, err
	}
	if err := writeRecord(filepath.Join(x.path, sessionFile), x.rec); err != nil {
		return m, err
	}
	m.Result, err = s.help(ctx, verb, x.path, req, stdio, console)
	return m, err
}

func (s *Supervisor) watchSession(x *session, m made) {
	r, pidfd := m.Result, m.pidfd
	if pidfd == nil {
		var err error
		if pidfd, err = hold.OpenPid(r.Pid, r.StartTime); err != nil {
			pidfd = nil // it has ended already; the ring tells
		}
	}
	s.mu.Lock()
	x.pid, x.pidfd = r.Pid, pidfd
	if x.doomed {
		_ = sendPidfd(pidfd, syscall.SIGKILL, 0)
	}
	s.mu.Unlock()
	s.watchResult(r, pidfd, m.pidfd != nil, func(e hold.Exit, reason string) { s.sessionEnded(x, e, reason) })
}

func (s *Supervisor) sessionEnded(x *session, e hold.Exit, reason string) {
	s.mu.Lock()
	pidfd := x.pidfd
	x.pidfd = nil
	x.result = shim.ExecResult{ExitCode: e.Code, Signal: e.Signal, Reason: reason, FinishedAt: e.When}
	close(x.ended)
	abandoned := x.abandoned
	s.mu.Unlock()
	if pidfd != nil {
		pidfd.Close()
	}
	if abandoned {
		s.forgetSession(x)
		return
	}
	time.AfterFunc(keptSessions, func() { s.forgetSession(x) }) // its client died, or never comes
}

// session finds one by ID.
func (s *Supervisor) session(id string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.sessions[id]; x != nil {
		return x, nil
	}
	return nil, notFound("exec session", id)
}

func (s *Supervisor) waitSession(ctx context.Context, x *session) (shim.ExecResult, error) {
	select {
	case <-x.ended:
		s.mu.Lock()
		defer s.mu.Unlock()
		return x.result, nil
	case <-ctx.Done():
		return shim.ExecResult{}, ctx.Err()
	}
}

// killSession signals the process; SIGKILL goes to the whole process group, which it leads.
func (s *Supervisor) killSession(x *session, sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sig == syscall.SIGKILL {
		x.doomed = true
		if x.pidfd == nil {
			return nil
		}
		if x.foreign {
			return killGroupOf(x.pid, x.pidfd)
		}
		if sendPidfd(x.pidfd, sig, unix.PIDFD_SIGNAL_PROCESS_GROUP) == nil {
			return nil
		}
	}
	return sendPidfd(x.pidfd, sig, 0)
}

// closeSession forgets a session now or when it ends.
func (s *Supervisor) closeSession(x *session) {
	s.mu.Lock()
	x.abandoned = true
	s.mu.Unlock()
	select {
	case <-x.ended:
		s.forgetSession(x)
	default:
	}
}

func (s *Supervisor) forgetSession(x *session) {
	s.mu.Lock()
	if s.sessions[x.rec.ID] == x {
		delete(s.sessions, x.rec.ID)
	}
	s.mu.Unlock()
	closeFiles(x.console)
	s.dropSession(x)
}

// dropSession removes what is on disk of a session.
func (s *Supervisor) dropSession(x *session) {
	if err := unix.Unlink(x.path); err == nil || err == unix.ENOENT {
		return
	}
	if err := os.RemoveAll(x.path); err != nil {
		s.log.Error("cannot remove a session's record", "session", x.rec.ID, "err", err)
	}
}

// endSessions leaves nothing on disk of the sessions of a container that is being deleted; its processes are dead
// already. How they ended can still be asked for: a command may be what ended the container.
func (s *Supervisor) endSessions(container string) {
	s.mu.Lock()
	var of []*session
	for _, x := range s.sessions {
		if x.rec.Container == container {
			of = append(of, x)
		}
	}
	s.mu.Unlock()
	for _, x := range of {
		s.dropSession(x)
	}
}

// refuse remembers a container that was deleted, or a session that was closed, before it began: its Create or Exec, given
// up by the caller, may still be on its way to us. Ids are never used twice, so this harms nobody.
func (s *Supervisor) refuse(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, at := range s.refused {
		if len(s.refused)%256 == 0 && time.Since(at) > keptSessions { // now and then
			delete(s.refused, old)
		}
	}
	s.refused[id] = time.Now()
}

// refusedLately reports whether id must not begin any more. s.mu is held.
func (s *Supervisor) refusedLately(id string) bool {
	_, late := s.refused[id]
	return late
}

func randomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
