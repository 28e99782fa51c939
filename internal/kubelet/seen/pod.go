// Package seen is what the container runtime says about one pod: its sandboxes and containers, newest first.
//
// The kubelet's workers call Observe and All; package decide and package status read the result. Values are plain data
// without locks: an observation belongs to who made it. Tests write them as literals.
package seen

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// State is where a container is: Created -> Running -> Exited; Unknown is what the runtime cannot tell.
type State int

// The states of a container.
const (
	Unknown State = iota
	Created
	Running
	Exited
)

// Pod is one observation.
type Pod struct {
	UID             types.UID
	Namespace, Name string
	Sandboxes       []Sandbox   // newest first
	Containers      []Container // newest first
}

// Sandbox is one attempt at a pod's namespaces and network.
type Sandbox struct {
	ID        string
	Attempt   uint32
	Ready     bool
	CreatedAt time.Time
	IPs       []string
	Handler   string
}

// Container is one attempt at running a container.
type Container struct {
	ID, Name, SandboxID    string
	Attempt                int32
	State                  State
	Created                time.Time
	Started                time.Time // zero: it never ran
	Finished               time.Time
	ExitCode               int32
	Reason, Message        string
	Image, ImageID         string
	Hash                   string
	LogPath                string
	Annotations            map[string]string
	User                   *User
	CPUShares, CPUQuota    int64
	CPUPeriod, MemoryLimit int64
}

// User is who the first process runs as.
type User struct {
	UID, GID int64
	Groups   []int64
}

// Sandbox returns the newest sandbox, nil where there is none.
func (p Pod) Sandbox() *Sandbox {
	if len(p.Sandboxes) == 0 {
		return nil
	}
	return &p.Sandboxes[0]
}

// ReadySandbox returns the newest sandbox where it is ready, else nil.
func (p Pod) ReadySandbox() *Sandbox {
	if s := p.Sandbox(); s != nil && s.Ready {
		return s
	}
	return nil
}

// Latest returns the newest attempt of the container, nil where there is none.
func (p Pod) Latest(name string) *Container {
	for i := range p.Containers {
		if p.Containers[i].Name == name {
			return &p.Containers[i]
		}
	}
	return nil
}

// ByID returns the container with this ID, nil where there is none.
func (p Pod) ByID(id string) *Container {
	for i := range p.Containers {
		if p.Containers[i].ID == id {
			return &p.Containers[i]
		}
	}
	return nil
}

// LatestIn is Latest among the containers of one sandbox.
func (p Pod) LatestIn(sandbox, name string) *Container {
	for i := range p.Containers {
		if p.Containers[i].Name == name && p.Containers[i].SandboxID == sandbox {
			return &p.Containers[i]
		}
	}
	return nil
}

// LastExit returns the newest attempt of the container that ended before `than` (nil: the newest that ended).
func (p Pod) LastExit(name string, than *Container) *Container {
	past := than == nil
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Name != name {
			continue
		}
		if past && c.State == Exited {
			return c
		}
		if than != nil && c.ID == than.ID {
			past = true
		}
	}
	return nil
}

// Live returns the containers that run or may run.
func (p Pod) Live() []*Container {
	var live []*Container
	for i := range p.Containers {
		if s := p.Containers[i].State; s == Running || s == Unknown {
			live = append(live, &p.Containers[i])
		}
	}
	return live
}
