package cri

import (
	"context"
	"strings"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var events = []check{
	{"of a pod's life", func(r *run) {
		ctx, cancel := context.WithCancel(r.ctx)
		defer cancel()
		st, err := r.GetContainerEvents(ctx, &api.GetEventsRequest{})
		r.must("events", err)
		heard := make(chan *api.ContainerEventResponse, 1000)
		go func() {
			defer close(heard)
			for {
				e, err := st.Recv()
				if err != nil {
					return
				}
				heard <- e
			}
		}()
		// A stream is open once it is heard on: what happened before is told by nobody.
		probe, _ := r.pod(nil)
		for open := false; !open; {
			select {
			case e := <-heard:
				open = e.GetContainerId() == probe
			case <-r.ctx.Done():
				r.say("never: an event")
				panic(over{})
			default:
				probe, _ = r.pod(nil)
			}
		}
		pod, pc := r.pod(nil)
		id := r.create(pod, pc, r.shell("exit 4"))
		r.start(id)
		r.ended(id)
		_, err = r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: id})
		r.must("remove", err)
		r.must("remove", r.removePod(pod))
		story := map[string][]string{}
		for e := range heard {
			who := map[string]string{id: "container", pod: "pod"}[e.GetContainerId()]
			what := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(e.ContainerEventType.String(), "CONTAINER_"), "_EVENT"))
			if who == "" {
				continue
			}
			if e.PodSandboxStatus != nil && e.PodSandboxStatus.Id != pod || e.CreatedAt == 0 {
				r.say("%s %s: of another pod, or of no time", who, what)
			}
			for _, c := range e.ContainersStatuses {
				if who == "container" && what == "stopped" && (c.State != api.ContainerState_CONTAINER_EXITED || c.ExitCode != 4) {
					r.say("stopped, but %s with %d", c.State, c.ExitCode)
				}
			}
			story[who] = append(story[who], what)
			if who == "pod" && what == "deleted" {
				break
			}
		}
		r.say("container: %s", strings.Join(story["container"], ", "))
		r.say("pod: %s", strings.Join(story["pod"], ", "))
	}, "container: created, started, stopped, deleted\npod: created, started, stopped, deleted\n"},
}
