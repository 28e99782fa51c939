package decide

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// planner builds one Plan.
type planner struct {
	Input
	plan Plan
}

// Next says what to do now.
func Next(in Input) Plan {
	p := &planner{Input: in, plan: Plan{BackingOff: map[string]Wait{}}}
	switch {
	case in.Stop != nil:
		p.end(in.Stop.Grace)
	case in.allEnded() || p.initFailed():
		p.end(grace(in.Pod))
	default:
		p.run()
	}
	return p.plan
}

func grace(pod *corev1.Pod) time.Duration {
	if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 30 * time.Second
}

// do adds an operation unless it runs already or has to wait after a failure.
func (p *planner) do(o Op) {
	if p.asked(o) {
		return
	}
	if until, held := p.Hold[o.Key()]; held && p.Now.Before(until) {
		p.wake(until)
		return
	}
	p.plan.Ops = append(p.plan.Ops, o)
}

// asked says that o is being done, or is in the plan.
func (p *planner) asked(o Op) bool {
	return p.Busy[o.Key()] || slices.ContainsFunc(p.plan.Ops, func(other Op) bool { return other.Key() == o.Key() })
}

func (p *planner) wake(t time.Time) {
	if p.plan.Wake.IsZero() || t.Before(p.plan.Wake) {
		p.plan.Wake = t
	}
}

// run brings a pod up that has work left.
func (p *planner) run() {
	if !p.Mounted {
		p.do(Op{Verb: Volumes})
	}
	box := p.Seen.ReadySandbox()
	if box == nil || len(box.IPs) == 0 && !p.Pod.Spec.HostNetwork {
		p.newSandbox()
		p.images("")
		return
	}
	if p.restartAll() {
		return
	}
	p.tidy(box.ID)
	p.condemned(box.ID)
	if p.Resize.Apply && len(p.Resize.Restart) == 0 {
		p.do(Op{Verb: Resize, ID: box.ID})
	}
	p.containers(box.ID)
}

// newSandbox ends what is left of the old sandbox, then asks for the next one.
func (p *planner) newSandbox() {
	if p.busyWith(Sandbox) {
		return
	}
	var attempt int32
	if old := p.Seen.Sandbox(); old != nil {
		attempt = int32(old.Attempt) + 1
		live := p.Seen.Live()
		for _, c := range live {
			p.do(Op{Verb: Kill, Container: c.Name, ID: c.ID, Grace: grace(p.Pod), Reason: "Pod sandbox changed, it will be killed and re-created."})
		}
		if len(live) > 0 {
			return
		}
		if old.Ready {
			p.do(Op{Verb: StopSandbox, ID: old.ID})
			return
		}
	}
	p.do(Op{Verb: Sandbox, Attempt: attempt})
}

// images asks early for the images that will be needed first, while sandbox and volumes are still being made.
func (p *planner) images(box string) {
	for i := range p.Pod.Spec.InitContainers {
		c := &p.Pod.Spec.InitContainers[i]
		if s := p.Seen.LatestIn(box, c.Name); s == nil {
			p.image(c)
			return
		}
	}
	for i := range p.Pod.Spec.Containers {
		p.image(&p.Pod.Spec.Containers[i])
	}
}

func (p *planner) image(c *corev1.Container) bool {
	if p.Images[c.Name] {
		return true
	}
	p.do(Op{Verb: Image, Container: c.Name})
	return false
}

// tidy removes what nobody needs any more: sandboxes of earlier attempts, containers older than the last two attempts,
// and containers that were created but never started because somebody fell in between.
func (p *planner) tidy(box string) {
	kept := map[string]int{}
	for i := range p.Seen.Containers {
		c := &p.Seen.Containers[i]
		switch {
		case c.State == seen.Created && !p.Busy[Op{Verb: Start, Container: c.Name}.Key()]:
			p.do(Op{Verb: RemoveContainer, ID: c.ID, Container: c.Name})
		case c.State == seen.Exited:
			if kept[c.Name] >= 1 && c.ID != p.Seen.Latest(c.Name).ID {
				p.do(Op{Verb: RemoveContainer, ID: c.ID, Container: c.Name})
			}
			kept[c.Name]++
		}
	}
	for _, s := range p.Seen.Sandboxes {
		if s.ID != box && !p.sandboxInUse(s.ID) {
			if s.Ready {
				p.do(Op{Verb: StopSandbox, ID: s.ID})
			} else {
				p.do(Op{Verb: RemoveSandbox, ID: s.ID})
			}
		}
	}
}

func (p *planner) sandboxInUse(id string) bool {
	for _, c := range p.Seen.Containers {
		if c.SandboxID == id {
			return true
		}
	}
	return false
}

// condemned kills running containers that a probe failed or whose spec changed.
func (p *planner) condemned(box string) {
	spec := map[string]*corev1.Container{}
	Each(&p.Pod.Spec, func(c *corev1.Container, _ Role) { spec[c.Name] = c })
	for _, c := range p.Seen.Live() {
		if p.Busy[Op{Verb: Start, Container: c.Name}.Key()] {
			continue
		}
		op := Op{Verb: Kill, Container: c.Name, ID: c.ID, Grace: grace(p.Pod)}
		want := spec[c.Name]
		if u, ok := p.Unhealthy[c.ID]; ok {
			op.Reason = u.Reason
			if u.Grace != nil {
				op.Grace = time.Duration(*u.Grace) * time.Second
			}
			p.do(op)
			continue
		}
		switch {
		case p.Resize.Restart[c.ID]:
			op.Reason = fmt.Sprintf("Container %s resize requires restart", c.Name)
		case c.SandboxID != box:
			op.Reason = "Container runs in an old sandbox"
		case want != nil && c.Hash != "" && c.Hash != seen.Hash(want):
			op.Reason = fmt.Sprintf("Container %s definition changed, will be restarted", c.Name)
		case c.State == seen.Unknown:
			op.Reason = "Container is in unknown state, try killing it before restart"
		default:
			continue
		}
		p.do(op)
	}
}
