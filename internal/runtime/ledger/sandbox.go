package ledger

import (
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// An Intent is what the client wants of a sandbox or container. It only moves down the list.
type Intent string

const (
	// Making: the verb that makes the object has not answered yet. Found at start, the object is undone: nobody knows it.
	Making Intent = "Making"
	// Kept: the client knows the object, and it stays.
	Kept Intent = "Kept"
	// Stopped: nothing of it may run; what the client may still read (records, logs, writable layers) stays.
	Stopped Intent = "Stopped"
	// Gone: everything of it is being removed; the record goes last.
	Gone Intent = "Gone"
)

// Sandbox is one record. What is true of it now is seen in the kernel, in this order:
//
//	             cgroup, dirs, pins, shm, network
//	Making ──────────────────────────────────────► Kept ── StopPodSandbox ──► Stopped ── RemovePodSandbox ──► Gone ──► no record
//	   │ a step fails, or the agent dies                                                                       ▲
//	   └───────────────────────────────────────────────────────────────────────────────────────────────────────┘
//
// A Kept sandbox is SANDBOX_READY while its pins are there and were made in this boot, otherwise SANDBOX_NOTREADY.
type Sandbox struct {
	ID       string      `json:"id"`
	Intent   Intent      `json:"intent"`
	Config   SandboxSpec `json:"config"`
	Handler  string      `json:"handler,omitempty"`
	Boot     string      `json:"boot"` // boot id of the kernel that has its pins
	Created  time.Time   `json:"created"`
	IPs      []string    `json:"ips,omitempty"`
	OwnsPod  bool        `json:"ownsPod,omitempty"`  // the pod's cgroup was made by us
	InitPID  int         `json:"initPid,omitempty"`  // of the tiny init that holds a shared pid namespace
	InitTime uint64      `json:"initTime,omitempty"` // its start time, so that a reused pid is told apart
}

// SandboxSpec is the client's own words.
type SandboxSpec struct{ *cri.PodSandboxConfig }

// MarshalJSON and UnmarshalJSON keep the protobuf encoding, which loses nothing and is the cheapest.
func (c SandboxSpec) MarshalJSON() ([]byte, error) { return marshalProto(c.PodSandboxConfig) }

// UnmarshalJSON is the reverse of MarshalJSON.
func (c *SandboxSpec) UnmarshalJSON(data []byte) error {
	c.PodSandboxConfig = &cri.PodSandboxConfig{}
	return unmarshalProto(data, c.PodSandboxConfig)
}
