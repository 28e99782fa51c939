package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestLogsWithoutEnd: a container that writes as fast as it can and does not hear SIGTERM fills no disk, is stopped all the
// same, and nothing of it stays.
func TestLogsWithoutEnd(t *testing.T) {
	m := newMachine(t)
	const most = 1 << 20
	pod, id := m.sleeper(func(c *api.ContainerConfig) {
		c.Command = []string{"sh", "-c", "trap '' TERM; while true; do echo 0123456789012345678901234567890123456789; done"}
		c.Annotations = map[string]string{LogMaxSize: fmt.Sprint(most)}
	})
	log := m.status(id).LogPath
	eventually(t, "the log has been rotated twice", func() bool { _, err := os.Stat(log + ".2"); return err == nil })
	files, err := filepath.Glob(log + "*")
	if err != nil || len(files) > logFiles+1 { // one may be on its way out
		t.Errorf("%d files: %v, %v", len(files), files, err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err == nil && st.Size() > 2*most {
			t.Errorf("%s has %d bytes, the limit is %d", f, st.Size(), most)
		}
	}
	began := time.Now()
	if _, err := m.StopContainer(m.ctx(), &api.StopContainerRequest{ContainerId: id, Timeout: 1}); err != nil {
		t.Fatal(err)
	}
	if st := m.status(id); st.ExitCode != 137 || time.Since(began) < time.Second {
		t.Errorf("after %v: %v", time.Since(began), st)
	}
	m.remove(pod)
	nothingLeft(t, m, "a log without end")
}

// TestManyExecs: many commands in one container at once have their own output and exit code each.
func TestManyExecs(t *testing.T) {
	m := newMachine(t)
	pod, id := m.sleeper(nil)
	var all errgroup.Group
	for i := range 40 {
		all.Go(func() error {
			x, err := m.ExecSync(m.ctx(), &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", fmt.Sprintf("echo out %d; echo err %d >&2; exit %d", i, i, i)}})
			if err != nil {
				return err
			}
			if out := string(x.Stdout) + string(x.Stderr); out != fmt.Sprintf("out %d\nerr %d\n", i, i) || int(x.ExitCode) != i {
				return fmt.Errorf("command %d: %q, code %d", i, strings.TrimSpace(out), x.ExitCode)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	m.remove(pod)
	nothingLeft(t, m, "many commands at once")
}
