package decide

import (
	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/seen"
)

// RestartsAll says that container c, last seen as s, ended in a way that makes all containers of its pod start over.
func RestartsAll(c *corev1.Container, s *seen.Container) bool {
	return s != nil && s.State == seen.Exited && action(c, s.ExitCode) == corev1.ContainerRestartRuleActionRestartAllContainers
}

// MayRestartAll says that some container of the pod has a rule for that.
func MayRestartAll(spec *corev1.PodSpec) bool {
	may := false
	Each(spec, func(c *corev1.Container, _ Role) {
		for _, r := range c.RestartPolicyRules {
			may = may || r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
		}
	})
	return may
}

// Sources are the containers (by id) of an observation whose end restarts all.
func Sources(spec *corev1.PodSpec, p seen.Pod) map[string]bool {
	ids := map[string]bool{}
	Each(spec, func(c *corev1.Container, r Role) {
		if s := p.Latest(c.Name); r != Ephemeral && RestartsAll(c, s) {
			ids[s.ID] = true
		}
	})
	return ids
}

// restartAll takes all init and regular containers away, so that the pod begins anew in its sandbox and with its volumes.
// The one that asked for it goes last: while it is there, a crash in between changes nothing. Once in a while is at once;
// again and again has the pauses of a crash loop.
func (p *planner) restartAll() bool {
	sources := Sources(&p.Pod.Spec, p.Seen)
	if len(sources) == 0 {
		return false
	}
	ours := map[string]bool{}
	Each(&p.Pod.Spec, func(c *corev1.Container, r Role) { ours[c.Name] = r != Ephemeral })
	begun := false // by an earlier round
	for i := range p.Seen.Containers {
		if c := &p.Seen.Containers[i]; sources[c.ID] && !p.Restarting && p.backsOff(c) {
			return true
		}
	}
	for _, c := range p.Seen.Live() {
		if ours[c.Name] {
			begun = true
			p.do(Op{Verb: Kill, Container: c.Name, ID: c.ID, Reason: "killing"})
		}
	}
	if begun || p.busyWith(Start) {
		return true
	}
	for _, last := range []bool{false, true} {
		for _, c := range p.Seen.Containers {
			if ours[c.Name] && sources[c.ID] == last {
				begun = true
				p.do(Op{Verb: RemoveContainer, ID: c.ID, Container: c.Name, KeepLog: true})
			}
		}
		if begun {
			return true
		}
	}
	return true
}
