package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/wire"
)

// A request is one call with its connection.
type request struct {
	conn  wire.Conn
	call  wire.Call
	files []*os.File
}

// An op answers one kind of call: the body of its reply and a file to pass with it. An op that replies by itself
// returns replied.
type op func(s *Supervisor, ctx context.Context, r *request) (body any, file *os.File, err error)

var errReplied = errors.New("replied")

var ops = map[string]op{
	"info":       opInfo,
	"create":     opCreate,
	"start":      opStart,
	"signal":     opSignal,
	"delete":     opDelete,
	"state":      opState,
	"list":       opList,
	"wait":       opWait,
	"events":     opEvents,
	"exec":       opExec,
	"exec-wait":  opExecWait,
	"exec-kill":  opExecKill,
	"exec-close": opExecClose,
	"attach":     opAttach,
	"resize":     opResize,
	"reopen-log": opReopenLog,
	"update":     opUpdate,
	"upgrade":    opUpgrade,
	"shutdown":   opShutdown,
}

// serve accepts until ctx ends.
func (s *Supervisor) serve(ctx context.Context, l *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		s.scope.Go("connection", func(ctx context.Context) error {
			s.converse(ctx, wire.Conn{UnixConn: c})
			return nil
		})
	}
}

// converse answers one call. The end of the connection ends the call's context, for calls that wait.
func (s *Supervisor) converse(ctx context.Context, c wire.Conn) {
	defer c.Close()
	if err := checkPeer(c); err != nil {
		s.log.Warn("refused a client", "err", err)
		return
	}
	r := &request{conn: c}
	files, err := c.Recv(&r.call)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			s.log.Warn("bad call", "err", err)
		}
		return
	}
	r.files = files
	defer func() { wire.CloseAll(r.files) }()
	do, ok := ops[r.call.Op]
	if !ok {
		s.reply(c, nil, nil, invalid("unknown call %q", r.call.Op))
		return
	}
	body, file, err := do(s, ctx, r)
	if errors.Is(err, errReplied) || errors.Is(err, context.Canceled) {
		return // a broken connection, ours or theirs, is no answer: the client asks the next shim
	}
	s.reply(c, body, file, err)
}

func (s *Supervisor) reply(c wire.Conn, body any, file *os.File, err error) {
	var r wire.Reply
	if err != nil {
		r.Kind, r.Error = shim.Kind(err), err.Error()
	} else if body != nil {
		if r.Body, err = json.Marshal(body); err != nil {
			r = wire.Reply{Kind: "error", Error: err.Error()}
		}
	}
	var files []*os.File
	if file != nil {
		files = append(files, file)
	}
	_ = c.Send(r, files...) // a client that has gone asks again
}

// untilGone returns a context that ends when the client closes its connection; it has nothing more to say.
func (s *Supervisor) untilGone(ctx context.Context, r *request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	s.scope.Go("peer", func(context.Context) error {
		defer cancel()
		_ = r.conn.Readable() // until the client's close, or ours at the end of the conversation
		return nil
	})
	return ctx, cancel
}

func checkPeer(c wire.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if credErr != nil {
		return credErr
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("uid %d may not command this shim", cred.Uid)
	}
	return nil
}

// body decodes a call's body.
func body[T any](r *request) (v T, err error) {
	if len(r.call.Body) > 0 {
		if err = json.Unmarshal(r.call.Body, &v); err != nil {
			err = invalid("body of %s: %v", r.call.Op, err)
		}
	}
	return v, err
}

func opInfo(s *Supervisor, _ context.Context, _ *request) (any, *os.File, error) {
	info := s.info
	s.mu.Lock()
	info.Containers = len(s.containers)
	s.mu.Unlock()
	info.Seq = s.events.last()
	return info, nil, nil
}

func opCreate(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	req, err := body[shim.CreateRequest](r)
	if err != nil {
		return nil, nil, err
	}
	pid, err := s.create(ctx, req)
	return wire.Pid{Pid: pid, Started: req.Run}, nil, err
}

func opStart(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	return nil, nil, s.start(ctx, r.call.ID)
}

func opSignal(s *Supervisor, _ context.Context, r *request) (any, *os.File, error) {
	req, err := body[wire.Signal](r)
	if err != nil {
		return nil, nil, err
	}
	return nil, nil, s.signal(r.call.ID, syscall.Signal(req.Signal), req.All)
}

func opDelete(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	return nil, nil, s.remove(ctx, r.call.ID)
}

func opState(s *Supervisor, _ context.Context, r *request) (any, *os.File, error) {
	c, err := s.find(r.call.ID)
	if err != nil {
		return nil, nil, err
	}
	return s.snapshot(c), nil, nil
}

func opList(s *Supervisor, _ context.Context, _ *request) (any, *os.File, error) {
	seq := s.events.last() // before the states: an event may be seen twice, never missed
	s.mu.Lock()
	all := make([]*container, 0, len(s.containers))
	for _, c := range s.containers {
		if !c.gone && (c.state.Pid != 0 || c.state.Status == shim.Exited) { // not while it is being built
			all = append(all, c)
		}
	}
	s.mu.Unlock()
	list := shim.List{Seq: seq, Containers: []shim.ContainerState{}}
	for _, c := range all {
		list.Containers = append(list.Containers, s.snapshot(c))
	}
	sort.Slice(list.Containers, func(i, j int) bool { return list.Containers[i].ID < list.Containers[j].ID })
	return list, nil, nil
}

func opWait(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	c, err := s.find(r.call.ID)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := s.untilGone(ctx, r)
	defer cancel()
	select {
	case <-c.exited:
		return s.snapshot(c), nil, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func opEvents(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	since, err := body[wire.Since](r)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := s.untilGone(ctx, r)
	defer cancel()
	return nil, nil, s.events.stream(ctx, since.Seq, func(e shim.Event) error {
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return r.conn.Send(wire.Reply{Body: b})
	})
}

// take returns the call's files in the places that the streams say, and makes them the caller's.
func (r *request) take(st wire.Streams) ([3]*os.File, error) {
	var out [3]*os.File
	files := r.files
	for i, wanted := range []bool{st.In, st.Out, st.Err} {
		if !wanted {
			continue
		}
		if len(files) == 0 {
			return out, invalid("streams and descriptors do not match")
		}
		out[i], files = files[0], files[1:]
	}
	if len(files) > 0 {
		return out, invalid("streams and descriptors do not match")
	}
	r.files = nil
	return out, nil
}

func opExec(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	req, err := body[shim.ExecCall](r)
	if err != nil {
		return nil, nil, err
	}
	stdio, err := r.take(req.Streams)
	if err != nil {
		return nil, nil, err
	}
	x, err := s.exec(ctx, r.call.ID, req.ExecRequest, stdio)
	closeFiles(stdio[:]...) // who reads from the process is not to wait for us
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	console := x.console
	x.console = nil
	s.mu.Unlock()
	s.reply(r.conn, wire.Pid{Pid: x.pid}, console, nil)
	closeFiles(console)
	if req.Stay {
		err = s.stay(ctx, r, x)
	}
	return nil, nil, errors.Join(err, errReplied)
}

// stay tells the client the end of its session and forgets that. One that has gone may come back for it.
func (s *Supervisor) stay(ctx context.Context, r *request, x *session) error {
	ctx, cancel := s.untilGone(ctx, r)
	defer cancel()
	result, err := s.waitSession(ctx, x)
	if err != nil {
		return err
	}
	b, err := json.Marshal(result)
	if err == nil && r.conn.Send(wire.Reply{Body: b}) == nil {
		s.closeSession(x)
	}
	return err
}

func opExecWait(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	x, err := s.session(r.call.ID)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := s.untilGone(ctx, r)
	defer cancel()
	result, err := s.waitSession(ctx, x)
	return result, nil, err
}

func opExecKill(s *Supervisor, _ context.Context, r *request) (any, *os.File, error) {
	req, err := body[wire.Signal](r)
	if err != nil {
		return nil, nil, err
	}
	x, err := s.session(r.call.ID)
	if err != nil {
		return nil, nil, err
	}
	return nil, nil, s.killSession(x, syscall.Signal(req.Signal))
}

func opExecClose(s *Supervisor, _ context.Context, r *request) (any, *os.File, error) {
	x, err := s.session(r.call.ID)
	if err != nil {
		s.refuse(r.call.ID)
		return nil, nil, nil
	}
	s.closeSession(x)
	return nil, nil, nil
}

func opAttach(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	st, err := body[wire.Streams](r)
	if err != nil {
		return nil, nil, err
	}
	files, err := r.take(st)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := s.untilGone(ctx, r)
	defer cancel()
	return nil, nil, s.attach(ctx, r.call.ID, files, func() {
		if st.Told {
			_ = r.conn.Send(wire.Reply{}) // a client that has gone ends ctx
		}
	})
}

func opResize(s *Supervisor, _ context.Context, r *request) (any, *os.File, error) {
	req, err := body[wire.Resize](r)
	if err != nil {
		return nil, nil, err
	}
	return nil, nil, s.resize(r.call.ID, req.Width, req.Height)
}

func opReopenLog(s *Supervisor, _ context.Context, r *request) (any, *os.File, error) {
	c, err := s.find(r.call.ID)
	if err != nil {
		return nil, nil, err
	}
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	return nil, nil, c.log.Reopen()
}

func opUpdate(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	res, err := body[specs.LinuxResources](r)
	if err != nil {
		return nil, nil, err
	}
	return nil, nil, s.update(ctx, r.call.ID, &res)
}

func opUpgrade(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	req, err := body[wire.Path](r)
	if err != nil {
		return nil, nil, err
	}
	if err := checkBinary(ctx, req.Path); err != nil {
		return nil, nil, err
	}
	return nil, nil, s.upgrade(req.Path)
}

func opShutdown(s *Supervisor, ctx context.Context, r *request) (any, *os.File, error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.mu.Lock()
	n := len(s.containers)
	s.mu.Unlock()
	if n > 0 {
		return nil, nil, fmt.Errorf("%d %w", n, shim.ErrBusy)
	}
	s.keeperMu.Lock()
	err := s.keeper.Quit()
	s.keeperMu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	s.door.close(ctx)
	_ = os.Remove(s.socketPath())
	s.reply(r.conn, nil, nil, nil)
	s.stop()
	return nil, nil, errReplied
}
