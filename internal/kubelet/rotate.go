package kubelet

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// The size from which a container's log is rotated, and how many files of it are kept, the current one included.
const (
	maxLogSize  = 10 << 20
	maxLogFiles = 5
)

// rotateLogs rotates the logs of running containers that have grown too large: the file is renamed, the runtime opens a
// new one, older files are compressed. A crash in between leaves a renamed file that the runtime still writes to; its
// log has no current file then, and the next round asks the runtime again.
func (k *Kubelet) rotateLogs(ctx context.Context) {
	for _, w := range k.all() {
		w.mu.Lock()
		p := w.shownSeen
		w.mu.Unlock()
		for _, c := range p.Containers {
			if c.State != seen.Running || c.LogPath == "" {
				continue
			}
			if err := k.rotate(ctx, c); err != nil && ctx.Err() == nil {
				w.log.Warn("log not rotated", "container", c.Name, "err", err)
			}
		}
	}
}

func (k *Kubelet) rotate(ctx context.Context, c seen.Container) error {
	st, err := os.Stat(c.LogPath)
	if err == nil && st.Size() < maxLogSize || err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := trimLogs(c.LogPath); err != nil {
		return err
	}
	old := c.LogPath + "." + time.Now().UTC().Format("20060102-150405")
	if err == nil {
		if err := os.Rename(c.LogPath, old); err != nil {
			return err
		}
	}
	_, reopened := k.cfg.CRI.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: c.ID})
	if reopened != nil && err == nil {
		return errors.Join(reopened, os.Rename(old, c.LogPath))
	}
	return reopened
}

// trimLogs compresses the rotated files of a log and removes the oldest, leaving room for one more.
func trimLogs(path string) error {
	files, err := filepath.Glob(path + ".*")
	if err != nil {
		return err
	}
	var kept []string
	for _, f := range files {
		if strings.HasSuffix(f, ".tmp") {
			if err := os.Remove(f); err != nil {
				return err
			}
			continue
		}
		kept = append(kept, f)
	}
	slices.SortFunc(kept, func(a, b string) int { return cmp.Compare(b, a) })
	for i, f := range kept {
		switch {
		case i >= maxLogFiles-2:
			err = os.Remove(f)
		case !strings.HasSuffix(f, ".gz"):
			err = compress(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compress replaces a file by its gzip.
func compress(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	temp := path + ".tmp"
	out, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if err := errors.Join(err, z.Close(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path+".gz"); err != nil {
		return err
	}
	return os.Remove(path)
}
