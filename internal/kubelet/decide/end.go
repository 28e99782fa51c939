package decide

import (
	"time"

	"minato.dev/minato/internal/kubelet/seen"
)

// end takes the pod down: regular and ephemeral containers at once, then sidecars in reverse, then sandbox, volumes
// and cgroup. Ended containers stay for their logs until the Pod object is gone. Then volumes and cgroup go last, once
// more: only when the runtime has forgotten everything can nothing come up in them any more.
func (p *planner) end(grace time.Duration) {
	live := p.Seen.Live()
	p.plan.Done = len(live) == 0 && !p.starting()
	if len(live) > 0 {
		p.kill(live, grace)
		return
	}
	if p.starting() {
		return // it is being cancelled; its end wakes us
	}
	for _, s := range p.Seen.Sandboxes {
		if s.Ready {
			p.do(Op{Verb: StopSandbox, ID: s.ID})
		}
	}
	if len(p.plan.Ops) > 0 || p.busyWith(StopSandbox) || p.anyReady() {
		return
	}
	if p.Stop != nil && p.Stop.Gone && !p.forget() {
		return
	}
	if !p.Clean {
		p.do(Op{Verb: Teardown})
		return
	}
	p.plan.Over = true
}

// forget removes the containers and sandboxes themselves and says whether none is left.
func (p *planner) forget() bool {
	for _, c := range p.Seen.Containers {
		p.do(Op{Verb: RemoveContainer, ID: c.ID, Container: c.Name})
	}
	if len(p.Seen.Containers) > 0 {
		return false
	}
	for _, s := range p.Seen.Sandboxes {
		p.do(Op{Verb: RemoveSandbox, ID: s.ID})
	}
	return len(p.Seen.Sandboxes) == 0
}

func (p *planner) anyReady() bool {
	for _, s := range p.Seen.Sandboxes {
		if s.Ready {
			return true
		}
	}
	return false
}

// starting says that an operation is under way that could still bring something up.
func (p *planner) starting() bool {
	return p.busyWith(Start) || p.busyWith(Sandbox) || p.busyWith(Volumes)
}

func (p *planner) busyWith(v Verb) bool {
	for key := range p.Busy {
		if len(key) >= len(v) && key[:len(v)] == string(v) && (len(key) == len(v) || key[len(v)] == ' ') {
			return true
		}
	}
	return false
}

// kill ends containers; a sidecar's turn comes when no regular container and no later sidecar runs any more.
func (p *planner) kill(live []*seen.Container, grace time.Duration) {
	running := map[string]*seen.Container{}
	for _, c := range live {
		running[c.Name] = c
	}
	sidecar := map[string]bool{}
	for i := range p.Pod.Spec.InitContainers {
		if c := &p.Pod.Spec.InitContainers[i]; Restartable(c) {
			sidecar[c.Name] = true
		}
	}
	main := false
	for _, c := range live {
		if !sidecar[c.Name] {
			main = true
			p.do(Op{Verb: Kill, Container: c.Name, ID: c.ID, Grace: p.left(grace), Reason: "Stopping container " + c.Name})
		}
	}
	if main {
		return
	}
	for i := len(p.Pod.Spec.InitContainers) - 1; i >= 0; i-- {
		name := p.Pod.Spec.InitContainers[i].Name
		if c := running[name]; sidecar[name] && c != nil {
			p.do(Op{Verb: Kill, Container: name, ID: c.ID, Grace: p.left(grace), Reason: "Stopping container " + name})
			return
		}
	}
	for _, c := range live {
		p.do(Op{Verb: Kill, Container: c.Name, ID: c.ID, Grace: p.left(grace), Reason: "Stopping container " + c.Name})
	}
}

// left is what remains of the grace period, which began when the deletion was asked for; a restart of the kubelet does
// not begin it anew.
func (p *planner) left(grace time.Duration) time.Duration {
	d := p.Pod.DeletionTimestamp
	if d == nil || p.Stop == nil || p.Stop.Gone {
		return grace
	}
	return max(min(grace, d.Sub(p.Now)+time.Second), 0) // the stamp has whole seconds
}
