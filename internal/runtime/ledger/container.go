package ledger

import (
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Container is one record.
//
//	Making ── dirs, rootfs, shim.Create ──► Kept, CREATED ── StartContainer ──► Kept, RUNNING ── exit seen ──► Kept, EXITED
//	   │ a step fails, or the agent dies        │                                                                  │
//	   └──────────────► Gone ◄──────────────────┴─────────────────────── RemoveContainer ──────────────────────────┘
//
// An exit is written down before anyone is told. RUNNING found without a process of this boot is EXITED with code 255.
type Container struct {
	ID        string        `json:"id"`
	Sandbox   string        `json:"sandbox"`
	Intent    Intent        `json:"intent"`
	Config    ContainerSpec `json:"config"`
	Boot      string        `json:"boot"`
	ImageID   string        `json:"imageID"`
	ImageRef  string        `json:"imageRef"`
	LogPath   string        `json:"logPath,omitempty"` // absolute
	User      User          `json:"user"`
	StopWith  string        `json:"stopWith"` // signal name, "SIGTERM"
	Resources Resources     `json:"resources"`
	Volumes   int           `json:"volumes,omitempty"` // image volumes mounted under the run directory

	Created  time.Time `json:"created"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	PID      int       `json:"pid,omitempty"`
	ExitCode int32     `json:"exitCode,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Message  string    `json:"message,omitempty"`
	// OOMBefore is the count of out-of-memory kills that was in the cgroup at the start.
	OOMBefore uint64 `json:"oomBefore,omitempty"`
}

// User is who the first process runs as.
type User struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"`
}

// State is what the record says of the container.
func (c *Container) State() cri.ContainerState {
	switch {
	case !c.Finished.IsZero():
		return cri.ContainerState_CONTAINER_EXITED
	case !c.Started.IsZero():
		return cri.ContainerState_CONTAINER_RUNNING
	}
	return cri.ContainerState_CONTAINER_CREATED
}

// ContainerSpec is the client's own words.
type ContainerSpec struct{ *cri.ContainerConfig }

// MarshalJSON keeps the protobuf encoding.
func (c ContainerSpec) MarshalJSON() ([]byte, error) { return marshalProto(c.ContainerConfig) }

// UnmarshalJSON is the reverse of MarshalJSON.
func (c *ContainerSpec) UnmarshalJSON(data []byte) error {
	c.ContainerConfig = &cri.ContainerConfig{}
	return unmarshalProto(data, c.ContainerConfig)
}

// Resources are the limits in force, which UpdateContainerResources changes.
type Resources struct{ *cri.LinuxContainerResources }

// MarshalJSON keeps the protobuf encoding.
func (r Resources) MarshalJSON() ([]byte, error) { return marshalProto(r.LinuxContainerResources) }

// UnmarshalJSON is the reverse of MarshalJSON.
func (r *Resources) UnmarshalJSON(data []byte) error {
	r.LinuxContainerResources = &cri.LinuxContainerResources{}
	return unmarshalProto(data, r.LinuxContainerResources)
}
