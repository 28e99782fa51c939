package supervisor

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// A watch waits for the end of one process. The keeper's ring tells the status of the keeper's own children; of a
// process that is somebody else's child (its keeper died) the kernel tells, through the pidfd.
type watch struct {
	pid    int
	start  uint64
	pidfd  *os.File // nil if the process had ended before it could be opened; closed by fire's receiver
	token  int32
	orphan bool
	fire   func(x hold.Exit, reason string)
}

// watchResult is watchProcess for what a helper has started, who may have seen the end already.
func (s *Supervisor) watchResult(r jail.Result, pidfd *os.File, ours bool, fire func(hold.Exit, string)) {
	if x := r.Exit; x != nil {
		fire(hold.Exit{Pid: r.Pid, StartTime: r.StartTime, When: x.When, Code: x.Code, Signal: x.Signal}, "")
		return
	}
	s.watchProcess(r.Pid, r.StartTime, pidfd, ours, fire)
}

const lost = "exit status lost: the process ended while neither shim nor keeper was there to see it"

// watchProcess calls fire once, soon or later, from another goroutine's lock-free context, when the process has ended.
// pidfd, if not nil, is one opened earlier; the process it stands for is checked by the caller. ours: it was born of the door
// just now, so its parent is the keeper, or was: then our end is near, and our successor asks.
// fire's receiver closes the watch's pidfd.
func (s *Supervisor) watchProcess(pid int, start uint64, pidfd *os.File, ours bool, fire func(hold.Exit, string)) *watch {
	w := &watch{pid: pid, start: start, pidfd: pidfd, fire: fire}
	if w.pidfd == nil {
		if f, err := hold.OpenPid(pid, start); err == nil {
			w.pidfd = f
		}
	}
	if !ours {
		if p, err := hold.Stat(pid); err == nil && p.StartTime == start {
			w.orphan = p.Parent != s.info.KeeperPid
		}
	}
	s.exitsMu.Lock()
	x, ended := s.exits.Find(pid, start)
	if !ended {
		s.watched[pid] = w
	}
	s.exitsMu.Unlock()
	switch {
	case ended:
		s.settle(w, x, "")
	case w.pidfd == nil:
		// The keeper writes before it reaps: what is gone and not in the ring, nobody of ours has seen.
		s.reaped(w)
	default:
		s.watchPidfd(w)
	}
	return w
}

// watchPidfd waits for the hang-up that follows the reaping; older kernels only tell the death, before it.
func (s *Supervisor) watchPidfd(w *watch) {
	events := uint32(0) // hang-up is always reported
	if w.orphan {
		events = unix.EPOLLIN | unix.EPOLLET
	}
	token, err := s.pump.add(int(w.pidfd.Fd()), events, func(ev uint32) {
		if ev&unix.EPOLLHUP != 0 {
			s.reaped(w)
		} else if w.orphan {
			s.died(w)
		}
	})
	if err != nil {
		s.log.Error("cannot watch a process", "pid", w.pid, "err", err)
		return
	}
	s.exitsMu.Lock()
	defer s.exitsMu.Unlock()
	if w.token = token; s.watched[w.pid] != w {
		s.pump.remove(int(w.pidfd.Fd()), token)
	}
}

// keeperSpoke reads the ring and fires the watches of the processes in it.
func (s *Supervisor) keeperSpoke() {
	type end struct {
		w *watch
		x hold.Exit
	}
	var ends []end
	s.exitsMu.Lock()
	s.exits.Next(func(x hold.Exit) {
		if w := s.watched[x.Pid]; w != nil && w.start == x.StartTime {
			delete(s.watched, x.Pid)
			ends = append(ends, end{w, x})
		}
	})
	s.exitsMu.Unlock()
	for _, e := range ends {
		s.settle(e.w, e.x, "")
	}
}

// reaped settles a process that is gone: by the ring, by the kernel, or as lost.
func (s *Supervisor) reaped(w *watch) {
	s.keeperSpoke()
	if !s.unwatch(w) {
		return
	}
	if w.pidfd != nil {
		if x, err := hold.ExitOf(int(w.pidfd.Fd())); err == nil {
			s.settle(w, x, "")
			return
		}
	}
	s.settle(w, hold.Exit{Code: 255, When: time.Now()}, lost)
}

// died settles a process that its foreign parent has not reaped yet, or gives that a moment.
func (s *Supervisor) died(w *watch) {
	if x, err := hold.UnreapedExit(w.pid, w.start); err == nil {
		if s.unwatch(w) {
			s.settle(w, x, "")
		}
		return
	}
	time.AfterFunc(10*time.Second, func() { s.reaped(w) })
}

// unwatch takes w out and reports whether it was still waiting.
func (s *Supervisor) unwatch(w *watch) bool {
	s.exitsMu.Lock()
	defer s.exitsMu.Unlock()
	if s.watched[w.pid] != w {
		return false
	}
	delete(s.watched, w.pid)
	return true
}

// settle stops waiting and tells the owner, who closes the pidfd.
func (s *Supervisor) settle(w *watch, x hold.Exit, reason string) {
	s.exitsMu.Lock()
	token := w.token
	s.exitsMu.Unlock()
	if token != 0 {
		s.pump.remove(int(w.pidfd.Fd()), token)
	}
	w.fire(x, reason)
}
