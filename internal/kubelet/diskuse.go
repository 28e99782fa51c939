package kubelet

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
)

func anyLive(p seen.Pod) bool { return len(p.Live()) > 0 }

// storageLimit is the container's own limit of local storage.
func storageLimit(pod *corev1.Pod, name string) (q resource.Quantity, ok bool) {
	if c, _ := decide.Find(&pod.Spec, name); c != nil {
		q, ok = c.Resources.Limits[corev1.ResourceEphemeralStorage]
	}
	return q, ok
}

// diskUse sums the blocks that the files under dir take on its file system; a file with two names counts once, one that
// vanishes meanwhile not at all.
func diskUse(dir string) int64 {
	root, err := os.Lstat(dir)
	if err != nil {
		return 0
	}
	total, linked := int64(0), map[uint64]bool{}
	device := root.Sys().(*syscall.Stat_t).Dev
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok:
		case st.Dev != device && d.IsDir():
			return filepath.SkipDir
		case st.Nlink > 1 && !d.IsDir() && linked[st.Ino]:
		default:
			if st.Nlink > 1 && !d.IsDir() {
				linked[st.Ino] = true
			}
			total += st.Blocks * 512
		}
		return nil
	})
	return total
}
