package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// own are the names that a cluster makes in its data directory. Only these are ever removed from it.
var own = []string{"admin.kubeconfig", "bin", "build", "cluster.json", "etcd", "images", "kubelet", "lock", "log", "network", "pki", "runtime", "volumes"}

// early are those that are there before the identity is. lost+found is that of a disk of its own.
var early = []string{"lock", "log", manifests, "lost+found"}

// manifests is where users put static pods; what they put there is theirs, before the first start and after the last.
const manifests = "manifests"

// CheckDataDir refuses to start a first cluster in a directory with anything else in it: what is not ours from the start must
// never be taken for ours at the end.
func CheckDataDir(data string) error {
	if _, err := os.Stat(Paths{Data: data}.identity()); err == nil {
		return nil
	}
	entries, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(early, e.Name()) && !strings.HasPrefix(e.Name(), ".cluster.json.") {
			return fmt.Errorf("%s holds no cluster and is not empty (there is %s): name an empty or a new directory with --data-dir", data, e.Name())
		}
	}
	return nil
}

// purgeData removes what a cluster made in its data directory, and the directory itself if nothing else is left in it.
func purgeData(data string) error {
	for _, name := range own {
		if name == "lock" || name == "cluster.json" {
			continue // last: until everything else is gone this is still a cluster's directory
		}
		if err := removeUnmounted(filepath.Join(data, name)); err != nil {
			return err
		}
	}
	if err := removeIfEmpty(filepath.Join(data, manifests)); err != nil {
		return err
	}
	for _, name := range []string{"cluster.json", "lock"} {
		if err := os.Remove(filepath.Join(data, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return removeIfEmpty(data)
}

// removeUnmounted removes a directory tree, and refuses while anything is mounted in it: what a mount shows is not ours.
func removeUnmounted(dir string) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.point == dir || strings.HasPrefix(m.point, dir+"/") {
			return fmt.Errorf("remove %s: %s is still mounted", dir, m.point)
		}
	}
	return os.RemoveAll(dir)
}

// removeIfEmpty removes a directory that has nothing in it.
func removeIfEmpty(dir string) error {
	err := os.Remove(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}
