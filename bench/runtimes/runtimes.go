// Package runtimes starts the container runtimes that are measured side by side over CRI, ours and containerd, each alone,
// without a kubelet. The programs that measure start themselves again as ours, by Serve.
package runtimes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/cri"
)

// A Runtime answers over CRI.
type Runtime struct {
	Name  string
	CRI   *cri.Client
	Group *cgroup.Group // it and what it makes
	Net   *measure.Netns
	Logs  string // folder for the logs of pods

	closers []func() error // in the order of what they close
}

func (r *Runtime) later(f func() error) { r.closers = append(r.closers, f) }

// Close takes away all that belongs to it. nil is closed.
func (r *Runtime) Close() error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, f := range slices.Backward(r.closers) {
		errs = append(errs, f())
	}
	r.closers = nil
	return errors.Join(errs...)
}

// CPU is what it has used; its group is there as long as it is.
func (r *Runtime) CPU() time.Duration {
	d, err := r.Group.CPU()
	if err != nil {
		return 0
	}
	return d
}

// Theirs starts containerd of the programs in dir, built where they are missing, with the CNI plugins in cni and the image in
// archive, as of `docker save`.
func Theirs(ctx context.Context, dir, cni, archive string) (r *Runtime, err error) {
	r = &Runtime{Name: "containerd"}
	defer r.undo(&err)
	if err := upstream.Build(ctx, dir, "containerd", "containerd-shim-runc-v2", "ctr", "pause"); err != nil {
		return r, err
	}
	u, err := upstream.New(ctx, dir)
	if err != nil {
		return r, err
	}
	r.later(u.Close)
	r.Group, r.Net, r.Logs = u.Cgroup, u.Net, u.Dir+"/pods"
	socket, err := u.StartRuntime(ctx, cni, archive)
	if err != nil {
		return r, err
	}
	return r, r.dial(ctx, socket)
}

// undo closes what has been begun where that failed, and names the runtime.
func (r *Runtime) undo(err *error) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", r.Name, errors.Join(*err, r.Close()))
	}
}

// dial waits until it and its network are ready.
func (r *Runtime) dial(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		c, err := cri.Dial(ctx, socket)
		if err == nil {
			var st *api.StatusResponse
			if st, err = c.Status(ctx, &api.StatusRequest{}); err == nil && ready(st.GetStatus()) {
				r.CRI = c
				r.later(c.Close)
				return nil
			}
			c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", socket, errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ready(st *api.RuntimeStatus) bool {
	ok := 0
	for _, c := range st.GetConditions() {
		if c.Status && (c.Type == "RuntimeReady" || c.Type == "NetworkReady") {
			ok++
		}
	}
	return ok == 2
}
