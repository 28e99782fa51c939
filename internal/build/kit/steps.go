package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/moby/buildkit/executor"
	resources "github.com/moby/buildkit/executor/resources/types"
	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/identity"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
)

// steps is BuildKit's executor: a RUN step is a container of a minato-shim, which is started for the first one and
// ended with the build.
//
//	mount root file system -> bundle -> Create -> Attach, Start -> Wait -> Delete -> unmount
//
// A build that is killed leaves all of it to sweep.
type steps struct {
	place build.Place

	mu    sync.Mutex
	shim  *shim.Client
	named bool // the namespace of shareName is there
}

var _ executor.Executor = (*steps)(nil)

// client starts the shim unless it runs.
func (s *steps) client(ctx context.Context) (*shim.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shim == nil {
		c, err := shim.Ensure(ctx, shimConfig(s.place))
		if err != nil {
			return nil, err
		}
		s.shim = c
	}
	return s.shim, nil
}

// Run runs one step to its end. Its exit status other than 0 is a gateway.ExitError, as BuildKit expects it.
func (s *steps) Run(ctx context.Context, id string, root executor.Mount, mounts []executor.Mount, p executor.ProcessInfo, started chan<- struct{}) (_ resources.Recorder, err error) {
	if started != nil {
		defer close(started) // only Exec, which is not built, would care for the moment
	}
	if id == "" {
		id = identity.NewID()
	}
	if p.Meta.Tty || p.Stdin != nil {
		return nil, errors.New("steps with a terminal or with standard input are not built")
	}
	c, err := s.client(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the shim: %w", err)
	}
	b, err := s.bundle(ctx, id, root, mounts, p.Meta)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	return nil, runStep(ctx, c, id, b.dir, p)
}

// Exec is for those who debug a build interactively.
func (s *steps) Exec(context.Context, string, executor.ProcessInfo) error {
	return errors.New("running a command in a step that runs already is not built")
}

// runStep takes the container through its life. Whatever happens, it is gone afterwards.
func runStep(ctx context.Context, c *shim.Client, id, dir string, p executor.ProcessInfo) (err error) {
	late := context.WithoutCancel(ctx)
	_, err = c.Create(ctx, shim.CreateRequest{ID: id, Bundle: dir})
	if errors.Is(err, shim.ErrCreate) {
		return &gateway.ExitError{ExitCode: 127, Err: err}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Delete(late, id)) }()
	defer context.AfterFunc(ctx, func() {
		_ = c.Signal(late, id, syscall.SIGKILL, true) // what fails here, Delete says again
	})()
	out, err := attach(late, c, id, p)
	if err != nil {
		return err
	}
	err = c.Start(ctx, id)
	var state shim.ContainerState
	if err == nil {
		state, err = c.Wait(late, id)
	} else {
		err = errors.Join(err, c.Signal(late, id, syscall.SIGKILL, true))
	}
	err = errors.Join(err, out.Wait())
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	return verdict(state, p.Meta.ValidExitCodes)
}

// attach copies the container's output until it ends. It returns once nothing of that can be missed.
func attach(ctx context.Context, c *shim.Client, id string, p executor.ProcessInfo) (*run.Scope, error) {
	s := run.NewScope(ctx)
	var files [2]*os.File
	for i, w := range []io.Writer{p.Stdout, p.Stderr} {
		r, end, err := os.Pipe()
		if err != nil {
			s.Stop()
			return nil, errors.Join(err, closeAll(files), s.Wait())
		}
		files[i] = end
		s.Go("output", func(context.Context) error {
			defer r.Close()
			_, err := io.Copy(w, r)
			return err
		})
	}
	joined := make(chan struct{})
	s.Go("attach", func(ctx context.Context) error {
		err := c.AttachFrom(ctx, id, shim.Stdio{Out: files[0], Err: files[1]}, func() { close(joined) })
		return errors.Join(err, closeAll(files))
	})
	select {
	case <-joined:
		return s, nil
	case <-s.Context().Done():
		return nil, s.Wait()
	}
}

func closeAll(files [2]*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// verdict is what a container's end means for its step.
func verdict(st shim.ContainerState, valid []int) error {
	if len(valid) == 0 {
		valid = []int{0}
	}
	for _, code := range valid {
		if st.ExitCode == code && st.Reason == "" && !st.OOMKilled {
			return nil
		}
	}
	e := &gateway.ExitError{ExitCode: uint32(st.ExitCode)}
	switch {
	case st.OOMKilled:
		e.Err = errors.New("out of memory: the kernel killed a process of the step")
	case st.Reason != "":
		e.Err = errors.New(st.Reason)
	}
	return e
}
