package shim_test

import (
	"io"
	"testing"

	"minato.dev/minato/internal/shim"
)

// Who attaches before the start and waits to be told has all of the output, however short the container's life is.
func TestAttachFromMissesNothing(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	for range 20 {
		r := n.request(nil, sh("echo out; echo err >&2")...)
		if _, err := n.Create(ctx, r); err != nil {
			t.Fatal(err)
		}
		outR, outW := pipe(t)
		errR, errW := pipe(t)
		joined, done := make(chan struct{}), make(chan error, 1)
		go func() {
			err := n.AttachFrom(ctx, r.ID, shim.Stdio{Out: outW, Err: errW}, func() { close(joined) })
			outW.Close()
			errW.Close()
			done <- err
		}()
		select {
		case <-joined:
		case err := <-done:
			t.Fatalf("attach: %v", err)
		}
		if err := n.Start(ctx, r.ID); err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(outR)
		errs, err2 := io.ReadAll(errR)
		if string(out) != "out\n" || string(errs) != "err\n" || err != nil || err2 != nil {
			t.Errorf("out %q (%v), err %q (%v)", out, err, errs, err2)
		}
		if err := <-done; err != nil {
			t.Errorf("attach: %v", err)
		}
		n.wait(r.ID)
		if err := n.Delete(ctx, r.ID); err != nil {
			t.Error(err)
		}
	}
}

func TestAttachFromOfNothing(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	if err := n.AttachFrom(ctx, "nobody", shim.Stdio{}, func() { t.Error("told of joining") }); err == nil {
		t.Error("no error")
	}
}
