// Package decide compares what a pod should be with what was seen of it and names the next operations.
//
// The kubelet's pod worker calls Next after each observation. Next is pure: no clock, no I/O, no memory. The same input
// gives the same plan, and an operation that Busy reports as under way is never asked for twice. Tests are tables.
//
// The way of a pod:
//
//	volumes + sandbox + image (at once) -> init containers, one after the other -> containers -> all ended or Stop:
//	kill (sidecars last, in reverse) -> stop sandbox -> unmount and remove cgroup -> Over
//	object gone: kill -> stop sandbox -> remove containers and sandboxes -> unmount and remove cgroup -> Over
package decide

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// Verb is what an operation does.
type Verb string

// The operations. Each is safe to repeat.
const (
	Volumes         Verb = "volumes"          // cgroup, directories and all volumes of the pod
	Sandbox         Verb = "sandbox"          // run a sandbox with Op.Attempt
	Image           Verb = "image"            // have the image of Op.Container
	Start           Verb = "start"            // create and start Op.Container with Op.Attempt
	Kill            Verb = "kill"             // end container Op.ID
	StopSandbox     Verb = "stop-sandbox"     // end sandbox Op.ID and its network
	RemoveContainer Verb = "remove-container" // forget ended container Op.ID
	RemoveSandbox   Verb = "remove-sandbox"   // forget stopped sandbox Op.ID
	Teardown        Verb = "teardown"         // unmount the volumes, remove the cgroup
	Resize          Verb = "resize"           // give running containers and the pod's cgroup what they are granted
)

// Op is one operation. Key is what must not run twice at once.
type Op struct {
	Verb      Verb
	Container string // its name
	ID        string // of the container or sandbox
	Attempt   int32
	Grace     time.Duration
	Reason    string // for Kill: why, in the words of the event
	KeepLog   bool   // for RemoveContainer: its log stays
}

// Key identifies the operation among those under way.
func (o Op) Key() string {
	switch o.Verb {
	case Image, Start:
		return string(o.Verb) + " " + o.Container
	case Volumes, Sandbox, Teardown, Resize:
		return string(o.Verb)
	}
	return string(o.Verb) + " " + o.ID
}

// Stop says that the pod has to end, and how.
type Stop struct {
	Grace           time.Duration
	Reason, Message string // for the pod's status, empty for a deletion
	Gone            bool   // the Pod object does not exist any more: forget everything
}

// Input is everything that a plan depends on.
type Input struct {
	Pod     *corev1.Pod
	Seen    seen.Pod
	Now     time.Time
	Stop    *Stop
	Busy    map[string]bool // keys of operations under way
	Mounted bool            // all volumes are ready
	Images  map[string]bool // containers whose image is there for the next start
	// Clean says that volumes and cgroup of the ended pod are gone.
	Clean bool
	// Hold says before when an operation (by key) must not be tried again after a failure.
	Hold map[string]time.Time
	// Back is the restart back-off of each container by name.
	Back map[string]Backoff
	// Started holds the containers (by id) whose postStart hook and startup probe are over.
	Started map[string]bool
	// Attempts is the highest attempt of each container (by name) that is remembered.
	Attempts map[string]int32
	// Restarting says that the restart of all containers has begun.
	Restarting bool
	// Resize is what a granted resize still needs.
	Resize Resizing
	// Unhealthy holds the running containers (by id) that a probe or hook condemned.
	Unhealthy map[string]Unhealthy
}

// Resizing is the work that a granted resize leaves.
type Resizing struct {
	Restart map[string]bool // running containers (by id) that must be made anew
	Again   map[string]bool // containers (by id) that were ended for that: they start again whatever their policy
	Apply   bool            // running containers or the pod's cgroup have to be changed in place
}

// Unhealthy is why a running container must end, and how much time it has.
type Unhealthy struct {
	Grace  *int64 // seconds; nil: the pod's
	Reason string
}

// Plan is what to do now.
type Plan struct {
	Ops  []Op
	Wake time.Time // look again then, though nothing changed; zero: never
	// Done says that no container of the pod will run any more (all ended and none restarts, or it was stopped).
	Done bool
	// Over says that nothing is left to do on this node: containers ended, sandbox, volumes and cgroup gone.
	Over bool
	// BackingOff holds the containers that wait for their restart, until when and after which pause.
	BackingOff map[string]Wait
}

// Wait is one restart to come.
type Wait struct {
	Until time.Time
	Pause time.Duration
}
