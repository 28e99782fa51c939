package cri

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// answering serves two verbs and reports the deadline that reached it.
type answering struct {
	runtime.UnimplementedRuntimeServiceServer
	left chan time.Duration
}

func (a answering) Version(ctx context.Context, _ *runtime.VersionRequest) (*runtime.VersionResponse, error) {
	if d, ok := ctx.Deadline(); ok {
		a.left <- time.Until(d)
	} else {
		a.left <- 0
	}
	return &runtime.VersionResponse{RuntimeName: "fake"}, nil
}

func (a answering) StopPodSandbox(context.Context, *runtime.StopPodSandboxRequest) (*runtime.StopPodSandboxResponse, error) {
	return nil, status.Error(codes.NotFound, "sandbox x: not found")
}

func serve(t *testing.T) (*Client, answering) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "cri.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s, a := grpc.NewServer(), answering{left: make(chan time.Duration, 1)}
	runtime.RegisterRuntimeServiceServer(s, a)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-served })
	c, err := Dial(t.Context(), "unix://"+socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, a
}

func TestCallsGetTheVerbsDeadline(t *testing.T) {
	c, a := serve(t)
	if _, err := c.Version(t.Context(), &runtime.VersionRequest{}); err != nil {
		t.Fatal(err)
	}
	if left := <-a.left; left <= 0 || left > shortCall {
		t.Errorf("deadline reached the server with %v left, want up to %v", left, shortCall)
	}
}

func TestErrorsAreSorted(t *testing.T) {
	c, _ := serve(t)
	_, err := c.StopPodSandbox(t.Context(), &runtime.StopPodSandboxRequest{})
	if !IsNotFound(err) || Message(err) != "sandbox x: not found" {
		t.Errorf("got %v (%q)", err, Message(err))
	}
	_, err = c.RunPodSandbox(t.Context(), &runtime.RunPodSandboxRequest{})
	if !IsUnimplemented(err) {
		t.Errorf("got %v, want Unimplemented", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, filepath.Join(t.TempDir(), "none.sock")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's end", err)
	}
	if _, err := Dial(t.Context(), "relative.sock"); err == nil {
		t.Error("a relative path was accepted")
	}
}

func TestDeadlines(t *testing.T) {
	for _, c := range []struct {
		verb string
		req  any
		want time.Duration
	}{
		{"PullImage", nil, 0},
		{"RunPodSandbox", nil, longCall},
		{"ListContainers", nil, shortCall},
		{"StopContainer", &runtime.StopContainerRequest{Timeout: 600}, 600*time.Second + shortCall},
		{"ExecSync", &runtime.ExecSyncRequest{Timeout: 1}, time.Second + shortCall},
		{"ExecSync", &runtime.ExecSyncRequest{}, 0},
	} {
		if got := deadline(c.verb, c.req); got != c.want {
			t.Errorf("%s: %v, want %v", c.verb, got, c.want)
		}
	}
}
