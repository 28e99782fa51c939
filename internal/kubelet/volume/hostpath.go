package volume

import (
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// checkHostPath makes what the type asks to be made and refuses a path of another type.
func checkHostPath(h *corev1.HostPathVolumeSource) error {
	t := corev1.HostPathUnset
	if h.Type != nil {
		t = *h.Type
	}
	st, err := os.Stat(h.Path)
	if os.IsNotExist(err) {
		switch t {
		case corev1.HostPathUnset:
			return os.MkdirAll(h.Path, 0o755) // runtimes that bind only what exists would fail with less clear words
		case corev1.HostPathDirectoryOrCreate:
			return os.MkdirAll(h.Path, 0o755)
		case corev1.HostPathFileOrCreate:
			return touch(h.Path)
		}
	} else if err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	want := hostPathTypes[t]
	if want.is != nil && (st == nil || !want.is(st.Mode())) {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", h.Path, want.name)
	}
	return nil
}

var hostPathTypes = map[corev1.HostPathType]struct {
	name string
	is   func(os.FileMode) bool
}{
	corev1.HostPathDirectoryOrCreate: {"directory", os.FileMode.IsDir},
	corev1.HostPathDirectory:         {"directory", os.FileMode.IsDir},
	corev1.HostPathFileOrCreate:      {"file", os.FileMode.IsRegular},
	corev1.HostPathFile:              {"file", os.FileMode.IsRegular},
	corev1.HostPathSocket:            {"socket file", func(m os.FileMode) bool { return m&os.ModeSocket != 0 }},
	corev1.HostPathCharDev:           {"character device", func(m os.FileMode) bool { return m&os.ModeCharDevice != 0 }},
	corev1.HostPathBlockDev: {"block device", func(m os.FileMode) bool {
		return m&os.ModeDevice != 0 && m&os.ModeCharDevice == 0
	}},
}

func touch(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
