package runtime

import (
	"errors"
	"io"
	"time"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
)

// stdio are the pipes of one session; a stream that nobody wants is nil.
type stdio struct{ in, out, err *pipe }

func newStdio(in, out, errs bool) (*stdio, error) {
	p := &stdio{}
	for _, w := range []struct {
		want, weRead bool
		at           **pipe
	}{{in, false, &p.in}, {out, true, &p.out}, {errs, true, &p.err}} {
		if !w.want {
			continue
		}
		n, err := newPipe(w.weRead)
		if err != nil {
			p.close()
			return nil, err
		}
		*w.at = n
	}
	return p, nil
}

// theirs are the ends that the container's process gets.
func (p *stdio) theirs() shim.Stdio {
	var t shim.Stdio
	if p.in != nil {
		t.In = p.in.r
	}
	if p.out != nil {
		t.Out = p.out.w
	}
	if p.err != nil {
		t.Err = p.err.w
	}
	return t
}

// handOver closes our copies of their ends, so that we see when theirs are closed.
func (p *stdio) handOver() {
	if p.in != nil {
		p.in.r.Close()
	}
	if p.out != nil {
		p.out.w.Close()
	}
	if p.err != nil {
		p.err.w.Close()
	}
}

// copyOut copies the output streams to the client.
func (p *stdio) copyOut(scope *run.Scope, out, errs io.Writer) {
	if p.out != nil {
		scope.Go("stdout", p.out.copyTo(out))
	}
	if p.err != nil {
		scope.Go("stderr", p.err.copyTo(errs))
	}
}

// drain bounds how long copyOut goes on after the process has ended.
func (p *stdio) drain() error {
	until := time.Now().Add(drainTime)
	var failed []error
	for _, o := range []*pipe{p.out, p.err} {
		if o != nil {
			failed = append(failed, o.r.SetReadDeadline(until))
		}
	}
	return errors.Join(failed...)
}

func (p *stdio) close() {
	for _, o := range []*pipe{p.in, p.out, p.err} {
		if o != nil {
			o.close()
		}
	}
}
