package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Tmpfs on a container is the annotation that asks for file systems in memory, of which CRI knows none: {"/run": "size=64m"},
// options as mount takes them. What is not said is as docker has it: nosuid, nodev, noexec, mode 1777.
const Tmpfs = "minato.dev/tmpfs"

// tmpfsFlags and tmpfsValues are the options that such a file system can have.
var (
	tmpfsFlags  = []string{"ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "noatime", "nodiratime", "relatime", "strictatime", "nosymfollow"}
	tmpfsValues = []string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"}
)

func (b *build) inMemory() (out []specs.Mount, err error) {
	text, asked := b.Container.GetAnnotations()[Tmpfs]
	if !asked {
		return nil, nil
	}
	var all map[string]string
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", Tmpfs, err)
	}
	for _, to := range slices.Sorted(maps.Keys(all)) {
		if !filepath.IsAbs(to) || filepath.Clean(to) == "/" {
			return nil, fmt.Errorf("tmpfs %q: must be an absolute path other than /", to)
		}
		m := specs.Mount{Destination: filepath.Clean(to), Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "noexec", "mode=1777"}}
		for o := range strings.SplitSeq(all[to], ",") {
			name, value, valued := strings.Cut(o, "=")
			switch {
			case o == "":
			case !valued && slices.Contains(tmpfsFlags, o), valued && value != "" && slices.Contains(tmpfsValues, name):
				m.Options = append(m.Options, o)
			default:
				return nil, fmt.Errorf("tmpfs %q: option %q is not one of %s, %s=", to, o, strings.Join(tmpfsFlags, ", "), strings.Join(tmpfsValues, "=, "))
			}
		}
		out = append(out, m)
	}
	return out, nil
}
