package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrRunning is returned when a cluster already runs on the data directory.
var ErrRunning = errors.New("a cluster already runs on this data directory")

// What holds the lock: a cluster, or a host of containers without one.
const (
	clusterKind = "cluster"
	hostKind    = "host"
)

// lock takes the data directory for this process until the file is closed. The kernel lets go of it when the process
// dies, however it dies.
func lock(path string) (*os.File, error) { return lockAs(path, clusterKind) }

func lockAs(path, kind string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		pid, _ := readHolder(f)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (process %d); see `minato status`, or stop it with `minato down`", ErrRunning, pid)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"+kind+"\n"), 0)
	return f, err
}

// flock tries for a moment: whoever only looks whether somebody holds the lock holds it himself for that long.
func flock(f *os.File) (err error) {
	for range 5 {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return err
}

// Running returns the process that runs the cluster in a data directory, 0 if none does.
func Running(data string) (pid int, err error) {
	pid, kind, err := holder(data)
	if kind == hostKind {
		pid = 0
	}
	return pid, err
}

// Served reports whether a cluster or a host holds the data directory, be it still on its way up.
func Served(data string) bool {
	pid, _, err := holder(data)
	return err == nil && pid != 0
}

// holder returns the process that holds the data directory and what it is; 0 where none does.
func holder(data string) (pid int, kind string, err error) {
	f, err := os.Open(Paths{Data: data}.lock())
	if errors.Is(err, os.ErrNotExist) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		pid, kind = readHolder(f)
		return pid, kind, nil
	case err != nil:
		return 0, "", err
	}
	return 0, "", nil
}

// readHolder reads what the holder wrote; half-written it is 0, unknown.
func readHolder(f *os.File) (pid int, kind string) {
	b := make([]byte, 64)
	n, _ := f.ReadAt(b, 0)
	first, rest, _ := strings.Cut(string(b[:n]), "\n")
	pid, _ = strconv.Atoi(first)
	return pid, strings.TrimSpace(rest)
}

// takeOver takes the lock for a cluster; a host that has it is asked to leave.
func takeOver(ctx context.Context, data string) (*os.File, error) {
	for end := time.Now().Add(handover); ; {
		f, err := lock(Paths{Data: data}.lock())
		_, kind, _ := holder(data)
		if !errors.Is(err, ErrRunning) || kind == clusterKind || time.Now().After(end) {
			return f, err
		}
		if id, err := ReadIdentity(data); err == nil {
			if resp, err := AskLocal(ctx, id.paths(data).LocalSocket(), http.MethodPost, "/leave", nil, nil); err == nil {
				resp.Body.Close()
			} // it may be on its way up or down: it is asked again
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// handover is how long a host may take to leave.
const handover = 20 * time.Second
