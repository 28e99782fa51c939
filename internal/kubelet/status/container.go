package status

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
)

// container derives the status of one container; old is what the API has.
func (in *Input) container(c *corev1.Container, r decide.Role, old corev1.ContainerStatus) corev1.ContainerStatus {
	s := in.Seen.Latest(c.Name)
	cs := corev1.ContainerStatus{Name: c.Name, Image: c.Image, RestartCount: old.RestartCount}
	if s == nil {
		in.unseen(&cs, r, old)
		return cs
	}
	in.identity(&cs, c, s)
	if before := in.Seen.LastExit(c.Name, s); before != nil {
		cs.LastTerminationState.Terminated = in.terminated(before)
	} else {
		cs.LastTerminationState = in.history(s, old)
	}
	cs.Resources, cs.AllocatedResources = resources(c, s), c.Resources.DeepCopy().Requests
	wait, waits := in.Waiting[c.Name]
	switch s.State {
	case seen.Running, seen.Unknown:
		cs.State.Running = &corev1.ContainerStateRunning{StartedAt: stamp(s)}
	case seen.Created:
		if !waits {
			wait = in.creating(r)
		}
		cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: wait.Reason, Message: wait.Message}
	case seen.Exited:
		t := in.terminated(s)
		if waits && !in.Done && in.Stop == nil {
			cs.LastTerminationState.Terminated = t
			cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: wait.Reason, Message: wait.Message}
		} else {
			cs.State.Terminated = t
		}
	}
	in.readiness(&cs, c, r, s)
	return cs
}

// history is the last end of a container whose earlier attempts are gone from the runtime.
func (in *Input) history(s *seen.Container, old corev1.ContainerStatus) corev1.ContainerState {
	same := old.ContainerID == in.Runtime+"://"+s.ID
	switch {
	case s.Attempt == 0:
		return corev1.ContainerState{}
	case same || old.State.Waiting != nil || old.ContainerID == "":
		return old.LastTerminationState
	case old.State.Terminated != nil && !in.Restarting:
		return corev1.ContainerState{Terminated: old.State.Terminated}
	case in.Restarting:
		return corev1.ContainerState{Terminated: restarted()}
	}
	return old.LastTerminationState
}

// identity fills what names the container that was seen.
func (in *Input) identity(cs *corev1.ContainerStatus, c *corev1.Container, s *seen.Container) {
	cs.ContainerID = in.Runtime + "://" + s.ID
	cs.RestartCount = s.Attempt
	cs.ImageID = s.ImageID
	if s.Image != "" && s.Image != s.ImageID {
		cs.Image = s.Image
	}
	if s.User != nil {
		cs.User = &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: s.User.UID, GID: s.User.GID, SupplementalGroups: s.User.Groups}}
	}
	for _, m := range c.VolumeMounts {
		ms := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			if m.RecursiveReadOnly != nil && *m.RecursiveReadOnly != mode && in.RecursiveReadOnly {
				mode = corev1.RecursiveReadOnlyEnabled
			}
			ms.RecursiveReadOnly = &mode
		}
		cs.VolumeMounts = append(cs.VolumeMounts, ms)
	}
}

func (in *Input) creating(r decide.Role) Waiting {
	if len(in.Pod.Spec.InitContainers) > 0 && r != decide.Ephemeral {
		return Waiting{Reason: "PodInitializing"}
	}
	return Waiting{Reason: "ContainerCreating"}
}

// wasInitialized says that the init containers are over, as the status last said: before that no other container can have been lost.
func (in *Input) wasInitialized() bool {
	if len(in.Pod.Spec.InitContainers) == 0 {
		return true
	}
	for _, c := range in.Pod.Status.Conditions {
		if c.Type == corev1.PodInitialized {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// unseen is the status of a container that the runtime does not know: not yet, or not any more.
func (in *Input) unseen(cs *corev1.ContainerStatus, r decide.Role, old corev1.ContainerStatus) {
	no := false
	if r != decide.Ephemeral {
		cs.Started = &no
	}
	if old.State.Terminated != nil && (in.Done || in.Stop != nil || in.initDone(r, old)) {
		*cs = old
		cs.Ready = r == decide.Init && old.State.Terminated.ExitCode == 0
		return
	}
	lost := &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown",
		Message: "The container could not be located when the pod was terminated"}
	wait, waits := in.Waiting[cs.Name]
	switch {
	case (in.Over || in.Done && in.Stop != nil && in.Pod.Status.StartTime != nil) && (r != decide.Regular || in.wasInitialized()):
		cs.State.Terminated = lost
		if old.State.Running != nil {
			cs.ContainerID, cs.ImageID, cs.Image = old.ContainerID, old.ImageID, old.Image
		}
		return
	case waits:
	default:
		wait = in.creating(r)
	}
	cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: wait.Reason, Message: wait.Message}
	switch {
	case in.Restarting && (old.State.Running != nil || old.State.Terminated != nil):
		cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: restartingReason, Message: restartingMessage}
		cs.LastTerminationState.Terminated = restarted()
		cs.RestartCount = old.RestartCount + 1
	case old.State.Running != nil:
		lost.Message = "The container could not be located when the pod was deleted.  The container used to be Running"
		cs.LastTerminationState.Terminated = lost
		cs.RestartCount = old.RestartCount + 1
	case old.State.Terminated != nil:
		cs.LastTerminationState.Terminated = old.State.Terminated
	default:
		cs.LastTerminationState = old.LastTerminationState
	}
}

// initDone says that an init container's end is history: a container of the pod ran after it.
func (in *Input) initDone(r decide.Role, old corev1.ContainerStatus) bool {
	if r != decide.Init || old.State.Terminated.ExitCode != 0 {
		return false
	}
	box := in.Seen.ReadySandbox()
	if box == nil {
		return false
	}
	for i := range in.Pod.Spec.Containers {
		if in.Seen.LatestIn(box.ID, in.Pod.Spec.Containers[i].Name) != nil {
			return true
		}
	}
	return false
}

// readiness fills Started and Ready.
func (in *Input) readiness(cs *corev1.ContainerStatus, c *corev1.Container, r decide.Role, s *seen.Container) {
	running := s.State == seen.Running
	if r == decide.Ephemeral {
		return
	}
	started := running && in.Started[s.ID]
	cs.Started = &started
	switch {
	case r == decide.Init && !decide.Restartable(c):
		cs.Ready = s.State == seen.Exited && s.ExitCode == 0
	case started && c.ReadinessProbe == nil:
		cs.Ready = true
	case started:
		cs.Ready = in.Ready[s.ID]
	}
	if in.Stop != nil && in.Stop.Reason == "" && running && c.ReadinessProbe == nil {
		cs.Ready = true // a pod being deleted stays ready until its containers end
	}
}

// terminated is how an attempt ended.
func (in *Input) terminated(s *seen.Container) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{ExitCode: s.ExitCode, Reason: s.Reason, Message: s.Message,
		StartedAt: stamp(s), FinishedAt: metav1.NewTime(s.Finished).Rfc3339Copy(), ContainerID: in.Runtime + "://" + s.ID}
	if t.Reason == "" {
		t.Reason = "Error"
		if s.ExitCode == 0 {
			t.Reason = "Completed"
		}
	}
	if in.Exit != nil {
		if m := in.Exit(s); m != "" {
			if t.Message != "" {
				m = t.Message + ": " + m
			}
			t.Message = m
		}
	}
	return t
}

func stamp(s *seen.Container) metav1.Time {
	if s.Started.IsZero() {
		return metav1.NewTime(s.Created).Rfc3339Copy()
	}
	return metav1.NewTime(s.Started).Rfc3339Copy()
}
