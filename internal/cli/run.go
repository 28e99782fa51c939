package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/image"
)

// Exit codes of `minato run` that are not the container's, as docker has them.
const (
	exitOurs      = 125 // the container could not be made
	exitNotRun    = 126 // its program cannot be executed
	exitNotFound  = 127 // there is no such program
	exitKilled    = 137 // somebody removed it while it ran
	exitInterrupt = 130
)

// runFlags are the flags of `minato run`, as the user wrote them.
type runFlags struct {
	spec                  container.Spec
	detach                detachKeys
	ports, volumes, env   []string
	mounts, tmpfs         []string
	only                  bool // make it, and do not start it
	envFiles, add, drop   []string
	memory, restart, pull string
}

func (e *env) run() *cobra.Command { return e.runVerb(&runFlags{}) }

func (e *env) runVerb(f *runFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Run one container, with or without a cluster",
		Long: `Run one container on this machine, as docker run does. It shares images and network with the cluster of the same data
directory, and works as well while none runs; a cluster that starts or stops leaves it alone, ` + "`minato down`" + ` ends it.
The exit code is the container's; 125 says that it could not be made, 126 and 127 that its program cannot be executed
or does not exist. An image that is not here is pulled.`,
		Example: `  minato run --rm busybox echo hello
  minato run --rm -it -v $PWD:/src -w /src busybox sh
  minato run -d --name web -p 8080:80 --memory 64m nginx
  minato run -d -v data:/var/lib/data --restart unless-stopped db
  minato run -d --restart on-failure:3 worker`,
		Args: func(c *cobra.Command, args []string) error { return ours(atLeast(1, "IMAGE")(c, args)) },
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.complete(args); err != nil {
				return ours(fmt.Errorf("%w; see `%s --help`", err, c.CommandPath()))
			}
			err := e.runContainer(c.Context(), f)
			var coded exitError
			if errors.As(err, &coded) {
				return err
			}
			return ours(err)
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return ours(fmt.Errorf("%w; see `%s --help`", err, c.CommandPath()))
	})
	e.dataDir(c)
	f.bind(c)
	return c
}

// create is run without the start: `minato start` is the rest of it.
func (e *env) create() *cobra.Command {
	f := &runFlags{only: true}
	f.spec.Detached, f.spec.Later = true, true
	c := e.runVerb(f)
	c.Use, c.Short = "create [flags] IMAGE [COMMAND [ARG...]]", "Make a container, and leave its start to `minato start`"
	c.Long = "Make a container with all flags of `minato run`, and print its id. Files can be copied into it before `minato start` runs it."
	c.Example = "  minato create --name db -v data:/var/lib/data db\n  minato cp db.conf db:/etc/ && minato start db"
	return c
}

// ours marks an error of this command, to be told from the container's.
func ours(err error) error {
	if err == nil {
		return nil
	}
	return exitError{exitOurs, err}
}

func (f *runFlags) bind(c *cobra.Command) {
	fl, s := c.Flags(), &f.spec
	fl.SetInterspersed(false) // what follows IMAGE is the container's
	fl.BoolVarP(&s.Interactive, "interactive", "i", false, "keep the standard input open")
	fl.BoolVarP(&s.TTY, "tty", "t", false, "give it a terminal")
	if !f.only {
		fl.BoolVarP(&s.Detached, "detach", "d", false, "leave it running in the background and print its id")
	}
	fl.BoolVar(&s.Remove, "rm", false, "remove it when it has ended")
	fl.StringVar(&s.Name, "name", "", "name (default: one of ours)")
	fl.StringArrayVarP(&f.ports, "publish", "p", nil, "open a port of the host: [IP:]HOST:CONTAINER[/udp]")
	fl.StringArrayVarP(&f.volumes, "volume", "v", nil, "show a directory of the host, or a volume: HOST:CONTAINER[:ro], NAME:CONTAINER[:ro]")
	fl.StringArrayVar(&f.mounts, "mount", nil, "the same at length: type=bind|volume|tmpfs,source=...,target=...[,readonly]")
	fl.StringArrayVar(&f.tmpfs, "tmpfs", nil, "a file system in memory: CONTAINER[:size=64m,mode=700]")
	fl.StringArrayVarP(&f.env, "env", "e", nil, "variable: NAME=VALUE, or NAME for the one here")
	fl.StringArrayVar(&f.envFiles, "env-file", nil, "file of variables, one a line")
	fl.StringVarP(&s.WorkDir, "workdir", "w", "", "working directory")
	fl.StringVarP(&s.User, "user", "u", "", "user: USER[:GROUP], names or numbers")
	fl.StringVar(&s.Entrypoint, "entrypoint", "", "program in place of the image's")
	fl.StringVar(&s.Hostname, "hostname", "", "host name (default: the name)")
	fl.StringVar(&s.Network, "network", "bridge", "bridge, host or none")
	fl.StringVarP(&f.memory, "memory", "m", "", "limit of memory, for example 64m")
	fl.Float64Var(&s.CPUs, "cpus", 0, "limit of processors, for example 0.5")
	fl.Int64Var(&s.Pids, "pids-limit", 0, "limit of processes and threads")
	fl.BoolVar(&s.ReadOnly, "read-only", false, "make the root file system read-only")
	fl.StringArrayVar(&f.add, "cap-add", nil, "capability to add, for example NET_ADMIN")
	fl.StringArrayVar(&f.drop, "cap-drop", nil, "capability to drop, or ALL")
	fl.BoolVar(&s.Privileged, "privileged", false, "no isolation from the host's devices and kernel")
	fl.StringVar(&f.restart, "restart", "no", "no, on-failure[:N], always or unless-stopped; needs --detach")
	fl.StringVar(&f.pull, "pull", "missing", "when to pull the image: missing, always or never")
	f.detach.bind(c)
}

// complete reads what the flags say into the Spec.
func (f *runFlags) complete(args []string) error {
	s := &f.spec
	s.Image, s.Args = args[0], args[1:]
	if s.Name != "" {
		if err := container.CheckName(s.Name); err != nil {
			return fmt.Errorf("--name: %w", err)
		}
	}
	for _, p := range f.ports {
		port, err := container.ParsePort(p)
		if err != nil {
			return fmt.Errorf("--publish: %w", err)
		}
		s.Ports = append(s.Ports, port)
	}
	for _, v := range f.volumes {
		volume, err := container.ParseVolume(v)
		if err != nil {
			return fmt.Errorf("--volume: %w", err)
		}
		s.Volumes = append(s.Volumes, volume)
	}
	for _, m := range f.mounts {
		volume, err := container.ParseMount(m)
		if err != nil {
			return fmt.Errorf("--mount: %w", err)
		}
		s.Volumes = append(s.Volumes, volume)
	}
	for _, m := range f.tmpfs {
		volume, err := container.ParseTmpfs(m)
		if err != nil {
			return fmt.Errorf("--tmpfs: %w", err)
		}
		s.Volumes = append(s.Volumes, volume)
	}
	return errors.Join(f.readEnv(), f.limits(), f.detach.parse(), f.check())
}

func (f *runFlags) limits() (err error) {
	s := &f.spec
	if f.memory != "" {
		if s.Memory, err = container.ParseSize(f.memory); err != nil {
			return fmt.Errorf("--memory: %w", err)
		}
		if s.Memory < 1<<20 {
			return fmt.Errorf("--memory %s: must be at least 1m", f.memory)
		}
	}
	if s.Restart, err = container.ParseRestart(f.restart); err != nil {
		return fmt.Errorf("--restart: %w", err)
	}
	for _, l := range []struct {
		from []string
		to   *[]string
	}{{f.add, &s.CapAdd}, {f.drop, &s.CapDrop}} {
		for _, name := range l.from {
			n, err := container.ParseCapability(name)
			if err != nil {
				return err
			}
			*l.to = append(*l.to, n)
		}
	}
	return nil
}

func (f *runFlags) check() error {
	s := f.spec
	switch {
	case !slices.Contains([]string{"bridge", "host", "none"}, s.Network):
		return fmt.Errorf("--network %q: must be bridge, host or none", s.Network)
	case s.Network != "bridge" && len(s.Ports) > 0:
		return fmt.Errorf("--publish: a container with --network %s has no ports of its own to open", s.Network)
	case s.Network == "host" && s.Hostname != "":
		return errors.New("--hostname: a container in the host's network has the host's name")
	case s.CPUs < 0 || s.CPUs > 0 && s.CPUs < 0.01:
		return fmt.Errorf("--cpus %v: must be at least 0.01", s.CPUs)
	case s.Restart != container.Restart{} && !s.Detached:
		return errors.New("--restart needs --detach: a command that waits for one end cannot wait for many")
	case s.Restart != container.Restart{} && s.Remove:
		return errors.New("--restart and --rm exclude each other")
	case !slices.Contains([]string{"missing", "always", "never"}, f.pull):
		return fmt.Errorf("--pull %q: must be missing, always or never", f.pull)
	case s.TTY && s.Interactive && !s.Detached && !isTerminal(os.Stdin):
		return errors.New("--tty with --interactive needs a terminal as standard input; leave --tty away")
	}
	return nil
}

// readEnv puts files before flags, so that flags win.
func (f *runFlags) readEnv() error {
	var all []string
	for _, file := range f.envFiles {
		raw, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--env-file: %w", err)
		}
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, line)
			}
		}
	}
	for _, kv := range append(all, f.env...) {
		k, v, given := strings.Cut(kv, "=")
		if k == "" {
			return fmt.Errorf("--env %q: must be NAME=VALUE", kv)
		}
		if !given {
			if v, given = os.LookupEnv(k); !given {
				continue // as docker: what is not set here is not set there
			}
		}
		f.spec.Env = append(f.spec.Env, k+"="+v)
	}
	return nil
}

// haveImage returns what is known of the image, and pulls it where that is wished.
func (e *env) haveImage(ctx context.Context, f *runFlags) (image.Detail, error) {
	inspect := func() (image.Detail, error) {
		a, err := e.local(ctx, http.MethodGet, "/images/inspect", url.Values{"ref": {f.spec.Image}}, nil)
		if err != nil || len(a.Details) != 1 {
			return image.Detail{}, errors.Join(err)
		}
		return a.Details[0], nil
	}
	if f.pull != "always" {
		if d, err := inspect(); err == nil || f.pull == "never" {
			return d, err
		}
		fmt.Fprintf(e.err, "Image %s is not here; pulling it\n", f.spec.Image)
	}
	if _, err := e.pullImage(ctx, "", f.spec.Image); err != nil {
		return image.Detail{}, err
	}
	return inspect()
}

// shown is all that runs: entrypoint and arguments, of the user's or the image's.
func shown(s container.Spec, d image.Detail) []string {
	entry, args := d.Config.Entrypoint, s.Args
	if s.Entrypoint != "" {
		entry = []string{s.Entrypoint}
	} else if len(args) == 0 {
		args = d.Config.Cmd
	}
	return append(slices.Clone(entry), args...)
}
