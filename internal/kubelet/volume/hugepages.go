package volume

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// hugePages mounts a file system of huge pages of this size on dir; "" is the one size that the pod asks for.
func (m *Mounter) hugePages(pod *corev1.Pod, dir, size string) error {
	asked := pageSizes(pod)
	if size == "" {
		if len(asked) != 1 {
			return fmt.Errorf("medium HugePages needs requests for pages of exactly one size, the pod has %d; name the size, as in HugePages-2Mi", len(asked))
		}
		for size = range asked {
		}
	}
	if !asked[size] {
		return fmt.Errorf("medium HugePages-%s: no container requests hugepages-%s", size, size)
	}
	q, err := resource.ParseQuantity(size)
	if err != nil {
		return fmt.Errorf("medium HugePages-%s: %w", size, err)
	}
	if err := makeDir(dir); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	if fs.Type != unix.HUGETLBFS_MAGIC {
		if err := unix.Mount("hugetlbfs", dir, "hugetlbfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("pagesize=%d", q.Value())); err != nil {
			return fmt.Errorf("mount huge pages of %s on %s: %w", size, dir, err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	return chownAll(dir, group(pod), false)
}

// pageSizes are the sizes of huge pages that the pod's containers request.
func pageSizes(pod *corev1.Pod) map[string]bool {
	sizes := map[string]bool{}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			for name := range list[i].Resources.Requests {
				if size, ok := strings.CutPrefix(string(name), corev1.ResourceHugePagesPrefix); ok {
					sizes[size] = true
				}
			}
		}
	}
	return sizes
}
