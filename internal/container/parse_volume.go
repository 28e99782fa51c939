package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Volume shows a directory or file of the host, or a volume that has a name.
type Volume struct {
	Host        string `json:"host"` // of a volume with a name: where that is, once it is known
	Container   string `json:"container"`
	ReadOnly    bool   `json:"readOnly,omitempty"`
	Name        string `json:"name,omitempty"`
	Anonymous   bool   `json:"anonymous,omitempty"` // the name is ours, and the volume goes with the container
	NoCopy      bool   `json:"noCopy,omitempty"`    // an empty volume is not filled with what the image has there
	Memory      bool   `json:"memory,omitempty"`    // a tmpfs, which is empty at each start
	Options     string `json:"options,omitempty"`   // of the tmpfs: "noexec,size=64m"
	Propagation string `json:"propagation,omitempty"`
}

func (v Volume) named() bool { return v.Name != "" || v.Anonymous }

// String is how inspect shows it.
func (v Volume) String() string {
	if v.Memory {
		return v.Container
	}
	from := v.Host
	if v.named() {
		from = v.Name
	}
	return strings.TrimPrefix(from+":"+v.Container, ":")
}

var propagations = map[string]cri.MountPropagation{
	"": cri.MountPropagation_PROPAGATION_PRIVATE, "private": cri.MountPropagation_PROPAGATION_PRIVATE,
	"rprivate": cri.MountPropagation_PROPAGATION_PRIVATE, "rslave": cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER,
	"rshared": cri.MountPropagation_PROPAGATION_BIDIRECTIONAL,
}

func (v Volume) mount() *cri.Mount {
	return &cri.Mount{HostPath: v.Host, ContainerPath: v.Container, Readonly: v.ReadOnly, Propagation: propagations[v.Propagation]}
}

// ParseVolume reads HOST:CONTAINER[:OPTION,...], NAME:CONTAINER[:OPTION,...] and CONTAINER, a volume without a name.
func ParseVolume(text string) (v Volume, err error) {
	parts := strings.Split(text, ":")
	switch len(parts) {
	case 1:
		v.Container, v.Anonymous = text, true
	case 3:
		if err := v.options(parts[2]); err != nil {
			return v, fmt.Errorf("volume %q: %w", text, err)
		}
		fallthrough
	case 2:
		v.Host, v.Container = parts[0], parts[1]
	default:
		return v, fmt.Errorf("volume %q: must be HOST:CONTAINER[:ro] or NAME:CONTAINER[:ro]", text)
	}
	if err := v.place(); err != nil {
		return v, fmt.Errorf("volume %q: %w", text, err)
	}
	return v, nil
}

// place tells paths of the host from names of volumes.
func (v *Volume) place() (err error) {
	if !filepath.IsAbs(v.Container) || filepath.Clean(v.Container) == "/" {
		return fmt.Errorf("%q must be an absolute path other than /", v.Container)
	}
	switch {
	case v.Memory && (v.Host != "" || v.NoCopy || v.Propagation != ""):
		return fmt.Errorf("a tmpfs has no source, propagation and nocopy")
	case v.Anonymous, v.Memory:
		return nil
	case v.Host == "." || v.Host == ".." || strings.HasPrefix(v.Host, "./") || strings.HasPrefix(v.Host, "../"):
		v.Host, err = filepath.Abs(v.Host)
	case !filepath.IsAbs(v.Host):
		if CheckVolumeName(v.Host) != nil {
			return fmt.Errorf("%q is neither a path that begins with / or ./ nor a name: a volume's name has letters, digits, _, . and -", v.Host)
		}
		v.Name, v.Host = v.Host, ""
	}
	if v.NoCopy && v.Name == "" {
		return fmt.Errorf("option nocopy is for volumes with a name")
	}
	return err
}

func (v *Volume) options(list string) error {
	for o := range strings.SplitSeq(list, ",") {
		_, propagation := propagations[o]
		switch {
		case o == "ro" || o == "readonly":
			v.ReadOnly = true
		case o == "rw":
		case o == "nocopy":
			v.NoCopy = true
		case propagation && o != "":
			v.Propagation = o
		default:
			return fmt.Errorf("option %q: must be ro, rw, nocopy, rprivate, rslave or rshared", o)
		}
	}
	return nil
}

// ParseMount reads docker's long form: type=bind|volume,source=...,target=...[,readonly][,volume-nocopy][,bind-propagation=...], and
// type=tmpfs,target=...[,tmpfs-size=...][,tmpfs-mode=...].
func ParseMount(text string) (v Volume, err error) {
	kind, memory := "volume", []string(nil)
	for field := range strings.SplitSeq(text, ",") {
		k, value, _ := strings.Cut(field, "=")
		switch k {
		case "type":
			kind = value
		case "source", "src":
			v.Host = value
		case "target", "dst", "destination":
			v.Container = value
		case "readonly", "ro":
			v.ReadOnly = value == "" || value == "true" || value == "1"
		case "tmpfs-size", "tmpfs-mode":
			memory = append(memory, strings.TrimPrefix(k, "tmpfs-")+"="+value)
		case "volume-nocopy":
			v.NoCopy = value == "" || value == "true" || value == "1"
		case "bind-propagation":
			if _, ok := propagations[value]; !ok {
				return v, fmt.Errorf("mount %q: bind-propagation %q: must be rprivate, rslave or rshared", text, value)
			}
			v.Propagation = value
		default:
			return v, fmt.Errorf("mount %q: %q is not understood: type, source, target, readonly, volume-nocopy, bind-propagation, tmpfs-size and tmpfs-mode are", text, k)
		}
	}
	path := filepath.IsAbs(v.Host)
	switch {
	case kind != "bind" && kind != "volume" && kind != "tmpfs":
		return v, fmt.Errorf("mount %q: type %q: must be bind, volume or tmpfs", text, kind)
	case kind != "tmpfs" && len(memory) > 0:
		return v, fmt.Errorf("mount %q: tmpfs-size and tmpfs-mode are for type=tmpfs", text)
	case kind == "tmpfs":
		v.Memory, v.Options = true, strings.Join(memory, ",")
	case kind == "bind" && !path:
		return v, fmt.Errorf("mount %q: source must be an absolute path of this machine", text)
	case kind == "volume" && path:
		return v, fmt.Errorf("mount %q: source must be a volume's name; a path wants type=bind", text)
	case kind == "volume" && v.Host == "":
		v.Anonymous = true
	}
	if err := v.place(); err != nil {
		return v, fmt.Errorf("mount %q: %w", text, err)
	}
	return v, nil
}

// ParseTmpfs reads CONTAINER[:OPTION,...], the options being mount's.
func ParseTmpfs(text string) (v Volume, err error) {
	v.Memory = true
	v.Container, v.Options, _ = strings.Cut(text, ":")
	if err := v.place(); err != nil {
		return v, fmt.Errorf("tmpfs %q: %w", text, err)
	}
	return v, nil
}

// VolumeAt finds the volume that a path of the container is in: the directory of this machine, the path in that, and
// whether it may only be read.
func (c Container) VolumeAt(at string) (dir, rest string, readOnly, ok bool) {
	clean := filepath.Join("/", at)
	best := ""
	for _, v := range c.Spec.Volumes {
		to := filepath.Clean(v.Container)
		if v.Memory || clean != to && !strings.HasPrefix(clean, to+"/") || len(to) < len(best) {
			continue
		}
		best, dir, readOnly, ok = to, v.Host, v.ReadOnly, true
		rest = strings.TrimPrefix(clean, to)
	}
	if st, err := os.Stat(dir); ok && err == nil && !st.IsDir() { // a file is a volume too
		dir, rest = filepath.Dir(dir), filepath.Base(dir)
	}
	if ok && (strings.HasSuffix(at, "/") || strings.HasSuffix(at, "/.")) {
		rest += at[strings.LastIndex(at, "/"):]
	}
	return dir, "/" + strings.TrimPrefix(rest, "/"), readOnly, ok
}
