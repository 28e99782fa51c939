package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// propagate sets how mounts travel between host and container. The host's mount must itself take part, and the
// container's root must not hold back what one of its mounts lets through.
func (b *build) propagate(out *specs.Mount, p cri.MountPropagation) error {
	switch p {
	case cri.MountPropagation_PROPAGATION_PRIVATE:
		out.Options = append(out.Options, "rprivate")
		return nil
	case cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER:
		out.Options = append(out.Options, "rslave")
		if b.spec.Linux.RootfsPropagation != "rshared" {
			b.spec.Linux.RootfsPropagation = "rslave"
		}
		return takesPart(out.Source, "shared:", "master:")
	case cri.MountPropagation_PROPAGATION_BIDIRECTIONAL:
		out.Options = append(out.Options, "rshared")
		b.spec.Linux.RootfsPropagation = "rshared"
		return takesPart(out.Source, "shared:")
	}
	return fmt.Errorf("unknown propagation %d", p)
}

// takesPart checks that the mount that path is on has one of the optional fields of mountinfo.
func takesPart(path string, fields ...string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	point, optional := mountOf(string(data), path)
	for _, o := range optional {
		for _, f := range fields {
			if strings.HasPrefix(o, f) {
				return nil
			}
		}
	}
	return fmt.Errorf("path %q is on %q but it is not a shared%s mount", path, point, map[bool]string{true: " or slave"}[len(fields) > 1])
}

// mountOf finds the mount that path is on and its optional fields. Later lines cover earlier ones.
func mountOf(mountinfo, path string) (point string, optional []string) {
	for line := range strings.Lines(mountinfo) {
		before, _, _ := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if len(f) < 6 {
			continue
		}
		p := filepath.Clean(f[4])
		if (p == "/" || path == p || strings.HasPrefix(path, p+"/")) && len(p) >= len(point) {
			point, optional = p, f[6:]
		}
	}
	return point, optional
}
