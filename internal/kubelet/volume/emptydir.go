package volume

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// emptyDir makes a directory for everybody, on a tmpfs of its own where the medium is memory.
func (m *Mounter) emptyDir(pod *corev1.Pod, v *corev1.Volume) error {
	dir := m.Path(pod, v)
	switch medium := v.EmptyDir.Medium; medium {
	case corev1.StorageMediumDefault:
		if err := makeDir(dir); err != nil {
			return err
		}
	case corev1.StorageMediumMemory:
		if err := mountTmpfs(dir, "size="+fmt.Sprint(memorySize(pod, v))); err != nil {
			return err
		}
	case corev1.StorageMediumHugePages:
		return m.hugePages(pod, dir, "")
	default:
		size, ok := strings.CutPrefix(string(medium), string(corev1.StorageMediumHugePagesPrefix))
		if !ok {
			return fmt.Errorf("this node cannot make an emptyDir with medium %q", medium)
		}
		return m.hugePages(pod, dir, size)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	return chownAll(dir, group(pod), false)
}

// memorySize is the smaller of the volume's limit and the pod's memory limit in bytes, 0 for the kernel's default.
func memorySize(pod *corev1.Pod, v *corev1.Volume) int64 {
	size := int64(0)
	if v.EmptyDir.SizeLimit != nil {
		size = v.EmptyDir.SizeLimit.Value()
	}
	total := int64(0)
	for i := range pod.Spec.Containers {
		q, ok := pod.Spec.Containers[i].Resources.Limits[corev1.ResourceMemory]
		if !ok {
			return size
		}
		total += q.Value()
	}
	if size == 0 || total < size {
		return total
	}
	return size
}

func makeDir(dir string) error { return os.MkdirAll(dir, 0o755) }

// mountTmpfs mounts a tmpfs on dir unless one is there.
func mountTmpfs(dir, options string) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	if fs.Type == unix.TMPFS_MAGIC && isMount(dir) {
		return nil
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return nil
}
