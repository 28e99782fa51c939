package decide

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// Role is which list of the pod's spec a container stands in.
type Role int

// The roles.
const (
	Init Role = iota
	Regular
	Ephemeral
)

// Each calls f for every container of the pod in the order init, regular, ephemeral.
func Each(spec *corev1.PodSpec, f func(c *corev1.Container, r Role)) {
	for i := range spec.InitContainers {
		f(&spec.InitContainers[i], Init)
	}
	for i := range spec.Containers {
		f(&spec.Containers[i], Regular)
	}
	for i := range spec.EphemeralContainers {
		c := corev1.Container(spec.EphemeralContainers[i].EphemeralContainerCommon)
		f(&c, Ephemeral)
	}
}

// Find returns the container of that name as a copy that may be kept, with its role.
func Find(spec *corev1.PodSpec, name string) (found *corev1.Container, role Role) {
	Each(spec, func(c *corev1.Container, r Role) {
		if c.Name == name {
			found, role = c, r
		}
	})
	return found, role
}

// containers starts what should run in sandbox box and does not.
func (p *planner) containers(box string) {
	p.ephemeral(box)
	if !p.initialised(box) {
		return
	}
	for i := range p.Pod.Spec.Containers {
		c := &p.Pod.Spec.Containers[i]
		s := p.Seen.LatestIn(box, c.Name)
		if s == nil {
			if old := p.Seen.Latest(c.Name); p.ended(c, old) {
				continue
			}
		}
		if p.Busy[Op{Verb: Start, Container: c.Name}.Key()] {
			return // its postStart hook may still run
		}
		if !p.need(c, s, Regular) {
			continue
		}
		if p.start(c, s, box) {
			return // the next container starts after this one has
		}
	}
}

func (p *planner) ephemeral(box string) {
	for i := range p.Pod.Spec.EphemeralContainers {
		e := &p.Pod.Spec.EphemeralContainers[i]
		if p.Seen.Latest(e.Name) == nil {
			c := corev1.Container(e.EphemeralContainerCommon)
			if p.image(&c) && p.Mounted {
				p.do(Op{Verb: Start, Container: c.Name})
			}
		}
	}
}

// need says whether container c, last seen as s in this sandbox, has to be started.
func (p *planner) need(c *corev1.Container, s *seen.Container, r Role) bool {
	switch {
	case s == nil:
		return true
	case s.State == seen.Exited:
		return s.Hash != seen.Hash(c) || p.Resize.Again[s.ID] || Restarts(p.Pod, c, r == Init, s.ExitCode)
	}
	return false
}

// start asks for a start, or waits for the back-off. It returns whether later containers have to wait for this one:
// while it is being started, but not while it backs off or its image is missing. Others may count on what a postStart hook
// of it has done: they wait for its image too, as upstream's do, unless pulling it has failed.
func (p *planner) start(c *corev1.Container, s *seen.Container, box string) bool {
	op := Op{Verb: Start, Container: c.Name, Attempt: p.nextAttempt(c.Name)}
	if p.Busy[op.Key()] {
		return true
	}
	if p.backsOff(s) {
		return false
	}
	if !p.image(c) {
		return c.Lifecycle != nil && c.Lifecycle.PostStart != nil && p.asked(Op{Verb: Image, Container: c.Name})
	}
	if !p.Mounted {
		return true
	}
	p.do(op)
	return p.asked(op)
}

// backsOff says that a container which ended must not start again yet.
func (p *planner) backsOff(s *seen.Container) bool {
	if s == nil || s.State != seen.Exited || p.Resize.Again[s.ID] {
		return false
	}
	b := p.Back[s.Name]
	until := b.Until(s.Finished)
	if !p.Now.Before(until) {
		return false
	}
	p.plan.BackingOff[s.Name] = Wait{until, b.Pause}
	p.wake(until)
	return true
}

// nextAttempt follows the highest attempt that is known: what the runtime has, what we remember, and where both were lost
// what the status says, which counts a container that got lost already.
func (p *planner) nextAttempt(name string) int32 {
	next := int32(0)
	if s := p.Seen.Latest(name); s != nil {
		next = s.Attempt + 1
	}
	if a, ok := p.Attempts[name]; ok {
		next = max(next, a+1)
	}
	if next > 0 {
		return next
	}
	for _, list := range [][]corev1.ContainerStatus{p.Pod.Status.ContainerStatuses, p.Pod.Status.InitContainerStatuses} {
		for i := range list {
			switch st := &list[i]; {
			case st.Name != name:
			case st.ContainerID != "":
				return st.RestartCount + 1
			default:
				return st.RestartCount
			}
		}
	}
	return 0
}

// initialised walks the init containers and starts the first that is due. Once a regular container was started in this
// sandbox only the sidecars are kept alive.
func (p *planner) initialised(box string) bool {
	begun := p.anyRegular(box)
	if !begun {
		p.images(box)
	}
	for i := range p.Pod.Spec.InitContainers {
		c := &p.Pod.Spec.InitContainers[i]
		s := p.Seen.LatestIn(box, c.Name)
		if Restartable(c) {
			if p.need(c, s, Init) && !p.Busy[Op{Verb: Start, Container: c.Name}.Key()] {
				p.start(c, s, box)
			}
			if !begun && (s == nil || s.State != seen.Running || !p.Started[s.ID]) {
				return false
			}
			continue
		}
		if begun || s != nil && s.State == seen.Exited && s.ExitCode == 0 {
			continue
		}
		if p.need(c, s, Init) {
			p.start(c, s, box)
		}
		return false
	}
	return true
}

func (p *planner) anyRegular(box string) bool {
	for i := range p.Pod.Spec.Containers {
		if s := p.Seen.LatestIn(box, p.Pod.Spec.Containers[i].Name); s != nil && s.State != seen.Created {
			return true
		}
	}
	return false
}

// initFailed says that an init container ended badly and will not be tried again, so that the pod has failed.
func (p *planner) initFailed() bool {
	for i := range p.Pod.Spec.InitContainers {
		c := &p.Pod.Spec.InitContainers[i]
		s := p.Seen.Latest(c.Name)
		if s != nil && s.State == seen.Exited && s.ExitCode != 0 && !p.Resize.Again[s.ID] && !Restarts(p.Pod, c, true, s.ExitCode) {
			return true
		}
	}
	return false
}

// Deadline is when the pod's activeDeadlineSeconds are over, zero where it has none or has not started.
func Deadline(pod *corev1.Pod) time.Time {
	if pod.Spec.ActiveDeadlineSeconds == nil || pod.Status.StartTime.IsZero() {
		return time.Time{}
	}
	return pod.Status.StartTime.Add(time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second)
}
