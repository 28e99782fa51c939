package volume

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// Teardown unmounts everything under the pod's directory and removes the directory. It refuses to remove anything while
// a mount is left, so that it never deletes what a mount shows. It is safe to repeat.
func (m *Mounter) Teardown(uid types.UID) error {
	dir := m.PodDir(uid)
	if _, err := os.Lstat(dir); os.IsNotExist(err) {
		m.forgetTokens(uid)
		return nil
	}
	mounts, err := mountsUnder(dir)
	if err != nil {
		return err
	}
	for _, at := range slices.Backward(mounts) {
		if err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", at, err)
		}
	}
	if left, err := mountsUnder(dir); err != nil || len(left) > 0 {
		return errors.Join(err, fmt.Errorf("pod directory %s has %d mounts left", dir, len(left)))
	}
	m.forgetTokens(uid)
	return os.RemoveAll(dir)
}

// Pods lists the UIDs of pods that have a directory, also those that an earlier process left.
func (m *Mounter) Pods() ([]types.UID, error) {
	entries, err := os.ReadDir(filepath.Join(m.root, "pods"))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var uids []types.UID
	for _, e := range entries {
		uids = append(uids, types.UID(e.Name()))
	}
	return uids, nil
}

// mountsUnder lists the mount points below dir in the order they were mounted.
func mountsUnder(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	return parseMounts(f, real+"/")
}

// parseMounts returns the fifth field, the mount point, of the lines whose mount point begins with prefix.
func parseMounts(r io.Reader, prefix string) ([]string, error) {
	var at []string
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 5 {
			continue
		}
		if p := unescape(f[4]); strings.HasPrefix(p, prefix) {
			at = append(at, p)
		}
	}
	return at, sc.Err()
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// isMount says whether something is mounted exactly at path.
func isMount(path string) bool {
	var self, up unix.Stat_t
	if unix.Lstat(path, &self) != nil || unix.Lstat(filepath.Dir(path), &up) != nil {
		return false
	}
	if self.Dev != up.Dev {
		return true
	}
	parent := filepath.Dir(path)
	mounts, err := mountsUnder(parent)
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(parent)
	return err == nil && slices.Contains(mounts, filepath.Join(real, filepath.Base(path)))
}
