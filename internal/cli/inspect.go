package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/image"
)

func (e *env) inspect() *cobra.Command {
	c := &cobra.Command{
		Use: "inspect CONTAINER...", Short: "Show everything about containers of `minato run` as JSON", Args: atLeast(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(nil),
		Long:              "Show containers in the words of docker inspect, as far as they are known here. `minato image inspect` is for images.",
		Example:           "  minato inspect web\n  minato inspect web | jq -r '.[0].NetworkSettings.IPAddress'",
		RunE: func(c *cobra.Command, args []string) error {
			out, errs := []inspected{}, []error{}
			for _, ref := range args {
				err := e.withContainer(c.Context(), ref, func(n *cluster.Node, x container.Container) error {
					i, err := e.inspectOne(c.Context(), n, x)
					out = append(out, i)
					return err
				})
				errs = append(errs, err)
			}
			return errors.Join(append([]error{e.printJSON(out)}, errs...)...)
		},
	}
	e.dataDir(c)
	return c
}

// inspected is a container in docker's words.
type inspected struct {
	ID              string `json:"Id"`
	Name            string
	Created         time.Time
	Path            string
	Args            []string
	Image           string
	State           inspectedState
	RestartCount    int
	LogPath         string
	Config          inspectedConfig
	HostConfig      inspectedHost
	Mounts          []inspectedMount
	NetworkSettings inspectedNetwork
}

type inspectedState struct {
	Status             string
	Running, OOMKilled bool
	Pid, ExitCode      int
	Error              string
	StartedAt          time.Time
	FinishedAt         time.Time
	StoppedByUser      bool
}

type inspectedConfig struct {
	Image, Hostname, User, WorkingDir string
	Tty, OpenStdin                    bool
	Env, Cmd, Entrypoint              []string
	ExposedPorts                      map[string]struct{} `json:",omitempty"`
	Labels                            map[string]string   `json:",omitempty"`
	StopSignal                        string              `json:",omitempty"`
}

type inspectedHost struct {
	NetworkMode                            string
	RestartPolicy                          inspectedRestart
	AutoRemove, Privileged, ReadonlyRootfs bool
	CapAdd, CapDrop                        []string
	Memory, NanoCpus, PidsLimit            int64
}

type inspectedRestart struct {
	Name              string
	MaximumRetryCount int
}

type inspectedMount struct {
	Type, Name, Source, Destination string
	RW                              bool
	Propagation                     string
}

type inspectedNetwork struct {
	IPAddress string
	Ports     map[string][]inspectedPort
}

type inspectedPort struct{ HostIP, HostPort string }

func (e *env) inspectOne(ctx context.Context, n *cluster.Node, c container.Container) (inspected, error) {
	s := c.Spec
	var made image.Detail // an image that has gone says nothing
	if a, err := e.local(ctx, http.MethodGet, "/images/inspect", url.Values{"ref": {s.ImageID}}, nil); err == nil && len(a.Details) == 1 {
		made = a.Details[0]
	}
	i := inspected{ID: c.Handle(), Name: s.Name, Created: c.Created, Image: s.ImageID, RestartCount: int(c.Attempt), LogPath: c.Log,
		State: inspectedState{Status: state(c), Running: c.Running(), OOMKilled: c.Reason == "OOMKilled", ExitCode: c.ExitCode, Error: c.Message,
			StartedAt: c.Started, FinishedAt: c.Finished, StoppedByUser: n.Engine.Stopped(c)},
		HostConfig: inspectedHost{NetworkMode: s.Network, AutoRemove: s.Remove, Privileged: s.Privileged, ReadonlyRootfs: s.ReadOnly, CapAdd: s.CapAdd, CapDrop: s.CapDrop,
			Memory: s.Memory, NanoCpus: int64(s.CPUs * 1e9), PidsLimit: s.Pids, RestartPolicy: inspectedRestart{s.Restart.String(), s.Restart.Most}},
		Config:          inspectedConfigOf(s, made),
		NetworkSettings: inspectedNetwork{IPAddress: c.IP, Ports: map[string][]inspectedPort{}}}
	if len(s.Command) > 0 {
		i.Path, i.Args = s.Command[0], s.Command[1:]
	}
	for _, p := range s.Ports {
		key := fmt.Sprintf("%d/%s", p.Container, p.Protocol)
		i.NetworkSettings.Ports[key] = append(i.NetworkSettings.Ports[key], inspectedPort{p.HostIP, fmt.Sprint(p.Host)})
	}
	for _, v := range s.Volumes {
		m := inspectedMount{"bind", v.Name, v.Host, v.Container, !v.ReadOnly, v.Propagation}
		switch {
		case v.Name != "":
			m.Type = "volume"
		case v.Memory:
			m.Type = "tmpfs"
		}
		i.Mounts = append(i.Mounts, m)
	}
	var err error
	if c.Running() {
		i.State.Pid, err = n.Engine.Init(ctx, c)
	}
	return i, err
}

func inspectedConfigOf(s container.Spec, made image.Detail) inspectedConfig {
	c := inspectedConfig{Image: s.Image, Hostname: s.Hostname, User: s.User, WorkingDir: s.WorkDir, Tty: s.TTY, OpenStdin: s.Interactive,
		Env: slices.Clone(s.Env), Cmd: s.Args, Entrypoint: made.Config.Entrypoint, ExposedPorts: made.Config.ExposedPorts, Labels: made.Config.Labels, StopSignal: made.Config.StopSignal}
	for _, kv := range made.Config.Env {
		k, _, _ := strings.Cut(kv, "=")
		if !slices.ContainsFunc(s.Env, func(own string) bool { return strings.HasPrefix(own, k+"=") }) {
			c.Env = append(c.Env, kv)
		}
	}
	if s.Entrypoint != "" {
		c.Entrypoint = []string{s.Entrypoint}
	} else if len(s.Args) == 0 {
		c.Cmd = made.Config.Cmd
	}
	for to, from := range map[*string]string{&c.Hostname: strings.ReplaceAll(s.Name, "_", "-"), &c.User: made.Config.User, &c.WorkingDir: made.Config.WorkingDir} {
		if *to == "" {
			*to = from
		}
	}
	return c
}

func (e *env) port() *cobra.Command {
	c := &cobra.Command{
		Use: "port CONTAINER [PORT[/tcp|udp]]", Short: "Show which ports of the host a container of `minato run` has", Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: e.completeContainers(nil),
		Example:           "  minato port web\n  minato port web 80",
		RunE: func(c *cobra.Command, args []string) error {
			return e.withContainer(c.Context(), args[0], func(_ *cluster.Node, x container.Container) error {
				shown := false
				for _, p := range x.Spec.Ports {
					of := fmt.Sprintf("%d/%s", p.Container, p.Protocol)
					at := fmt.Sprintf("%s:%d", orAll(p.HostIP), p.Host)
					switch {
					case len(args) == 1:
						fmt.Fprintf(e.out, "%s -> %s\n", of, at)
					case args[1] == of || args[1]+"/tcp" == of:
						fmt.Fprintln(e.out, at)
					default:
						continue
					}
					shown = true
				}
				if len(args) == 2 && !shown {
					return fmt.Errorf("container %s opens no port of the host for its %s; `minato run -p HOST:%s` does", x.Spec.Name, args[1], args[1])
				}
				return nil
			})
		},
	}
	e.dataDir(c)
	return c
}

func orAll(ip string) string {
	if ip == "" {
		return "0.0.0.0"
	}
	return ip
}
