package watch

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

// serverDir makes the test's program a server that is meant to be killed.
const serverDir = "WATCH_TEST_SERVER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverDir); dir != "" {
		fmt.Fprintln(os.Stderr, serve(context.Background(), dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// kept is how many revisions a compaction leaves; a watcher that is further behind is told Gone.
const kept = 150

// serve runs an API server on dir for ever and compacts its history all the time.
func serve(ctx context.Context, dir string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	st, err := store.Open(ctx, store.Config{Dir: filepath.Join(dir, "etcd"), Log: log})
	if err != nil {
		return err
	}
	certs, err := pki.EnsureAll(filepath.Join(dir, "pki"), pki.Names{Node: "watch"})
	if err != nil {
		return err
	}
	s, err := apiserver.New(apiserver.Config{Store: st, SoleWriter: true, Log: log, Secure: apiservertest.AllowAll})
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "socket")
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return run.With(ctx, func(scope *run.Scope) error {
		ready := make(chan struct{})
		scope.Go("server", func(ctx context.Context) error { return s.Run(ctx, func() { close(ready) }) })
		select {
		case <-ready:
		case <-scope.Context().Done():
			return nil
		}
		l, err := net.Listen("unix", socket)
		if err != nil {
			return err
		}
		scope.Go("compact", func(ctx context.Context) error { return compact(ctx, st) })
		fmt.Println("ready")
		return s.Serve(scope.Context(), l, &tls.Config{Certificates: []tls.Certificate{certs.APIServer.TLS}, MinVersion: tls.VersionTLS12})
	})
}

func compact(ctx context.Context, st store.Store) error {
	for {
		select {
		case <-time.After(time.Duration(20+rand.IntN(150)) * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
		now, err := st.Revision(ctx)
		if err == nil && now > kept {
			err = st.Compact(ctx, now-kept)
		}
		if err != nil && !errors.Is(err, store.ErrCompacted) && ctx.Err() == nil {
			return err
		}
	}
}

// process is the server as the test sees it.
type process struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(p.t.Context(), os.Args[0])
	p.cmd.Env = append(os.Environ(), serverDir+"="+p.dir)
	p.cmd.Stderr = p.t.Output()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		p.t.Fatalf("the server did not come up: %q %v", line, err)
	}
}

// kill ends the server with SIGKILL.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("the server has ended by itself: %v", err)
	}
	if err := p.cmd.Wait(); err == nil || p.cmd.ProcessState.ExitCode() != -1 {
		p.t.Fatalf("the server has ended by itself: %v", err)
	}
}
