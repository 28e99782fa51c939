package container

import (
	"errors"
	"path/filepath"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ErrNotFound is returned where no container has the name or id, ErrAmbiguous where several ids begin so, ErrNameTaken
// by Create, ErrRunning by Remove of a container that runs.
var (
	ErrNotFound  = errors.New("no such container")
	ErrAmbiguous = errors.New("several containers have an id that begins so")
	ErrNameTaken = errors.New("the name is taken by another container; remove that first, or choose another with --name")
	ErrRunning   = errors.New("the container is running; stop it first, or use --force")
)

// Engine makes and ends containers through a runtime.
type Engine struct {
	Runtime cri.RuntimeServiceClient
	Cgroup  string  // parent of all containers' cgroups: "/minato-ab12/run"
	Logs    string  // "<data>/log/run"
	Volumes Volumes // "<data>/volumes"
}

func (e *Engine) logDir(name string) string { return within(e.Logs, name) }
func (e *Engine) cgroup(name string) string { return within(e.Cgroup, name) }

// stoppedFile says that a user stopped the container, so that no policy starts it again.
func (e *Engine) stoppedFile(name string) string { return filepath.Join(e.logDir(name), "stopped") }

// Container is one as the runtime sees it now.
type Container struct {
	ID, Sandbox string // the runtime's: each start makes others, see Handle
	Spec        Spec
	State       cri.ContainerState
	Ready       bool // the sandbox has its namespaces and network
	Attempt     uint32
	Created     time.Time
	Started     time.Time
	Finished    time.Time
	ExitCode    int
	Reason      string // "OOMKilled", "StartError", ...
	Message     string
	IP          string
	Log         string

	turn  uint32   // of the sandbox: how often it was made anew
	stale []string // sandboxes that an interrupted start left
}

// Handle is the id that users see, the same through all starts.
func (c Container) Handle() string {
	if len(c.Spec.Nonce) == handleSize {
		return c.Spec.Nonce
	}
	return c.ID // made by an earlier build
}

const handleSize = 64

// Running reports whether its process runs.
func (c Container) Running() bool { return c.State == cri.ContainerState_CONTAINER_RUNNING }

// Exited reports whether it has run and ended.
func (c Container) Exited() bool { return c.State == cri.ContainerState_CONTAINER_EXITED }
