package runtime

import (
	"fmt"
	"os"
	"path/filepath"
)

// Mounts of every container are at paths that its image may not have. Made in its writable layer they would be new files
// and directories on the disk for each container, a tenth of what a short pod costs; so they lie below all layers, once.
func (c *Config) mountPoints() string { return filepath.Join(c.Root, "mountpoints") }

// makeMountPoints can be repeated, also on a disk that has become read-only.
func (s *Server) makeMountPoints() error {
	for _, dir := range []string{"dev", "etc", "proc", "sys"} {
		if err := os.MkdirAll(filepath.Join(s.cfg.mountPoints(), dir), 0o755); err != nil {
			return fmt.Errorf("mount points: %w", err)
		}
	}
	for _, name := range podFiles {
		f, err := os.OpenFile(filepath.Join(s.cfg.mountPoints(), "etc", name), os.O_CREATE|os.O_RDONLY, 0o644)
		if err != nil {
			return fmt.Errorf("mount points: %w", err)
		}
		f.Close()
	}
	return nil
}
