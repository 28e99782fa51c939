package kubelet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"minato.dev/minato/internal/kubelet/machine"
)

// thresholds are what must be left of the machine, in bytes or numbers; below, pods are evicted. Zero is no threshold.
type thresholds struct{ memory, disk, inodes, imageDisk, imageInodes, pids int64 }

// defaultEviction is upstream's. Percentages of a disk are of what can be filled of it, which is less than its size where
// blocks are reserved: otherwise a node with a large reserve would be under pressure while it has room.
var defaultEviction = map[string]string{"memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%",
	"imagefs.available": "15%", "imagefs.inodesFree": "5%"}

// pressureLasts is how long a condition stays after what caused it was seen last, so that it does not flap.
const pressureLasts = 5 * time.Minute

// signals are the names of what is measured, with the place of the threshold and the whole that percentages are of.
func (t *thresholds) signals(m machine.Info) map[string]struct {
	to    *int64
	whole int64
} {
	type signal = struct {
		to    *int64
		whole int64
	}
	return map[string]signal{"memory.available": {&t.memory, m.Memory}, "nodefs.available": {&t.disk, m.Reach}, "nodefs.inodesFree": {&t.inodes, m.Inodes},
		"imagefs.available": {&t.imageDisk, m.ImageReach}, "imagefs.inodesFree": {&t.imageInodes, m.ImageInodes}, "pid.available": {&t.pids, m.Pids}}
}

// parseThresholds reads a map from signal to quantity or percentage.
func parseThresholds(from map[string]string, m machine.Info) (t thresholds, err error) {
	all := t.signals(m)
	for name, text := range from {
		s, ok := all[name]
		if !ok {
			names := make([]string, 0, len(all))
			for n := range all {
				names = append(names, n)
			}
			slices.Sort(names)
			return t, fmt.Errorf("evictionHard: unknown signal %q, known are %s", name, strings.Join(names, ", "))
		}
		if part, isPart := strings.CutSuffix(text, "%"); isPart {
			percent, err := strconv.ParseFloat(part, 64)
			if err != nil || percent < 0 || percent > 100 {
				return t, fmt.Errorf("evictionHard: %s=%s: a percentage must be between 0%% and 100%%", name, text)
			}
			*s.to = int64(float64(s.whole) * percent / 100)
			continue
		}
		q, err := resource.ParseQuantity(text)
		if err != nil || q.Sign() < 0 {
			return t, fmt.Errorf("evictionHard: %s=%s: must be a quantity not less than 0 or a percentage", name, text)
		}
		*s.to = q.Value()
	}
	return t, nil
}

// shortage is one resource that the machine has too little of.
type shortage struct {
	resource       string // as messages name it
	condition      corev1.NodeConditionType
	left, at       int64
	reclaim        bool // by removing images
	numbers        bool // left and at are numbers, not bytes
	memory, inodes bool
}

// short lists what is below its threshold, memory first.
func (t thresholds) short(f machine.Free) []shortage {
	all := []shortage{
		{resource: "memory", condition: corev1.NodeMemoryPressure, left: f.Memory, at: t.memory, memory: true},
		{resource: "ephemeral-storage", condition: corev1.NodeDiskPressure, left: f.Disk, at: t.disk, reclaim: true},
		{resource: "inodes", condition: corev1.NodeDiskPressure, left: f.Inodes, at: t.inodes, reclaim: true, numbers: true, inodes: true},
		{resource: "ephemeral-storage", condition: corev1.NodeDiskPressure, left: f.ImageDisk, at: t.imageDisk, reclaim: true},
		{resource: "inodes", condition: corev1.NodeDiskPressure, left: f.ImageInodes, at: t.imageInodes, reclaim: true, numbers: true, inodes: true},
		{resource: "pids", condition: corev1.NodePIDPressure, left: f.Pids, at: t.pids, numbers: true},
	}
	return slices.DeleteFunc(all, func(s shortage) bool { return s.at == 0 || s.left >= s.at })
}

func (s shortage) String() string {
	format := resource.BinarySI
	if s.numbers {
		format = resource.DecimalSI
	}
	return fmt.Sprintf("Threshold quantity: %s, available: %s. ", resource.NewQuantity(s.at, format), resource.NewQuantity(s.left, format))
}
