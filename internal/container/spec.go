package container

import (
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Spec is what a user asks for. It is kept as JSON in the sandbox's annotations.
type Spec struct {
	Name        string   `json:"name"`
	Image       string   `json:"image"`   // as the user wrote it
	ImageID     string   `json:"imageID"` // what that was
	Entrypoint  string   `json:"entrypoint,omitempty"`
	Args        []string `json:"args,omitempty"`
	Command     []string `json:"command,omitempty"` // all that runs, the image's part included; only to be shown
	Env         []string `json:"env,omitempty"`     // "K=V"
	WorkDir     string   `json:"workDir,omitempty"`
	User        string   `json:"user,omitempty"` // "1000", "1000:1000", "web"
	Hostname    string   `json:"hostname,omitempty"`
	Network     string   `json:"network"` // "bridge", "host" or "none"
	Interactive bool     `json:"interactive,omitempty"`
	TTY         bool     `json:"tty,omitempty"`
	Detached    bool     `json:"detached,omitempty"`
	Later       bool     `json:"later,omitempty"` // made without a start
	Remove      bool     `json:"remove,omitempty"`
	Privileged  bool     `json:"privileged,omitempty"`
	ReadOnly    bool     `json:"readOnly,omitempty"`
	Ports       []Port   `json:"ports,omitempty"`
	Volumes     []Volume `json:"volumes,omitempty"`
	Memory      int64    `json:"memory,omitempty"` // bytes
	CPUs        float64  `json:"cpus,omitempty"`
	Pids        int64    `json:"pids,omitempty"`
	CapAdd      []string `json:"capAdd,omitempty"`
	CapDrop     []string `json:"capDrop,omitempty"`
	Restart     Restart  `json:"restart"`
	// Owner is the command that waits for the end of a container that is not detached, and removes it.
	Owner Process `json:"owner"`
	// Created is when the user asked for it; starts make it anew.
	Created time.Time `json:"created,omitzero"`
	// Nonce makes two equal wishes two. It is the id that users see, 64 hexadecimal digits, and names the writable layer.
	Nonce string `json:"nonce"`
}

// Process names a process for good: its number and when it started, in clock ticks since boot.
type Process struct {
	PID   int    `json:"pid,omitempty"`
	Start string `json:"start,omitempty"`
}

// Label is on every sandbox and container of ours; its value is the name. specKey holds the Spec.
const (
	Label   = "minato.dev/run"
	specKey = "minato.dev/run-spec"
	// namespace keeps our sandboxes' names apart from pods'.
	namespace = "minato-run"
)

// maxLog is when a log is rotated; the runtime keeps three files.
const maxLog = 10 << 20

// The kernel files that a container must not see or change unless it is privileged: docker's lists.
var (
	masked = []string{"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"}
	readonly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// sandbox is s as the runtime takes it, for the turn-th time.
func (s Spec) sandbox(e *Engine, turn uint32) (*cri.PodSandboxConfig, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	c := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: s.Name, Namespace: namespace, Uid: namespace + "-" + s.Name, Attempt: turn},
		Hostname: s.hostname(), LogDirectory: e.logDir(s.Name),
		Labels: map[string]string{Label: s.Name}, Annotations: map[string]string{specKey: string(raw)},
		Linux: &cri.LinuxPodSandboxConfig{CgroupParent: e.cgroup(s.Name), SecurityContext: &cri.LinuxSandboxSecurityContext{
			Privileged: s.Privileged, NamespaceOptions: s.namespaces()}},
	}
	if s.Network == "none" {
		c.Annotations[noNetwork] = "true"
	}
	for _, p := range s.Ports {
		c.PortMappings = append(c.PortMappings, p.mapping())
	}
	return c, nil
}

// Annotations that the runtime understands.
const (
	noNetwork  = "minato.dev/no-network"
	keepEarly  = "minato.dev/keep-early-output"
	logMaxSize = "minato.dev/log-max-size"
	layer      = "minato.dev/layer"
	tmpfs      = "minato.dev/tmpfs"
)

func (s Spec) hostname() string {
	if s.Network == "host" {
		return ""
	}
	if s.Hostname != "" {
		return s.Hostname
	}
	return strings.ReplaceAll(s.Name, "_", "-")
}

func (s Spec) namespaces() *cri.NamespaceOption {
	o := &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER}
	if s.Network == "host" {
		o.Network = cri.NamespaceMode_NODE
	}
	return o
}

// container is s's container, the attempt-th in its sandbox.
func (s Spec) container(attempt uint32, attached bool) *cri.ContainerConfig {
	c := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "main", Attempt: attempt},
		Image:    &cri.ImageSpec{Image: s.ImageID, UserSpecifiedImage: s.Image}, Args: s.Args, WorkingDir: s.WorkDir, LogPath: logName,
		Stdin: s.Interactive, StdinOnce: s.Interactive && !s.Detached, Tty: s.TTY,
		Labels: map[string]string{Label: s.Name}, Annotations: map[string]string{logMaxSize: strconv.Itoa(maxLog)},
		Linux: &cri.LinuxContainerConfig{Resources: s.resources(), SecurityContext: s.security()},
	}
	if s.Entrypoint != "" {
		c.Command = []string{s.Entrypoint}
	}
	if attached {
		c.Annotations[keepEarly] = "true"
	}
	if !s.Remove && s.Nonce != "" { // one that is removed at its end is not started again
		c.Annotations[layer] = s.Nonce
	}
	if s.TTY && !slices.ContainsFunc(s.Env, func(kv string) bool { return strings.HasPrefix(kv, "TERM=") }) {
		c.Envs = append(c.Envs, &cri.KeyValue{Key: "TERM", Value: []byte("xterm")})
	}
	for _, kv := range s.Env {
		k, v, _ := strings.Cut(kv, "=")
		c.Envs = append(c.Envs, &cri.KeyValue{Key: k, Value: []byte(v)})
	}
	inMemory := map[string]string{}
	for _, v := range s.Volumes {
		if !v.Memory {
			c.Mounts = append(c.Mounts, v.mount())
			continue
		}
		inMemory[v.Container] = v.Options
		if v.ReadOnly {
			inMemory[v.Container] = strings.TrimPrefix(v.Options+",ro", ",")
		}
	}
	if raw, err := json.Marshal(inMemory); err == nil && len(inMemory) > 0 {
		c.Annotations[tmpfs] = string(raw)
	}
	s.setUser(c.Linux.SecurityContext)
	return c
}

func (s Spec) resources() *cri.LinuxContainerResources {
	r := &cri.LinuxContainerResources{MemoryLimitInBytes: s.Memory}
	if s.CPUs > 0 {
		r.CpuPeriod = 100_000
		r.CpuQuota = int64(s.CPUs * float64(r.CpuPeriod))
	}
	return r
}

func (s Spec) security() *cri.LinuxContainerSecurityContext {
	c := &cri.LinuxContainerSecurityContext{Privileged: s.Privileged, ReadonlyRootfs: s.ReadOnly, NamespaceOptions: s.namespaces(),
		Capabilities: &cri.Capability{AddCapabilities: s.CapAdd, DropCapabilities: s.CapDrop}}
	if !s.Privileged {
		c.Seccomp = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}
		c.MaskedPaths, c.ReadonlyPaths = masked, readonly
	}
	return c
}

// setUser reads USER[:GROUP], names or numbers.
func (s Spec) setUser(c *cri.LinuxContainerSecurityContext) {
	if s.User == "" {
		return
	}
	who, group, _ := strings.Cut(s.User, ":")
	gid, err := strconv.ParseUint(group, 10, 32)
	switch {
	case group != "" && err != nil:
		c.RunAsUsername = s.User // the runtime looks a group's name up in the image
		return
	case group != "":
		c.RunAsGroup = &cri.Int64Value{Value: int64(gid)}
	}
	if n, err := strconv.ParseUint(who, 10, 32); err == nil {
		c.RunAsUser = &cri.Int64Value{Value: int64(n)}
	} else {
		c.RunAsUsername = who
	}
}

// readSpec finds the Spec in a sandbox's annotations.
func readSpec(annotations map[string]string) (s Spec, err error) {
	err = json.Unmarshal([]byte(annotations[specKey]), &s)
	return s, err
}

const logName = "container.log"

func newestFirst(m map[string]Container) []Container {
	list := slices.Collect(maps.Values(m))
	sort.Slice(list, func(i, j int) bool { return list[i].Created.After(list[j].Created) })
	return list
}
