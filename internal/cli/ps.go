package cli

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/container"
)

func (e *env) ps() *cobra.Command {
	all, quiet, output := false, false, ""
	c := &cobra.Command{
		Use: "ps", Short: "List the containers of `minato run`", Args: cobra.NoArgs,
		Example: "  minato ps\n  minato ps -a\n  minato ps -q\n  minato ps -a -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "" && output != "json" {
				return exitError{2, fmt.Errorf("--output %q: must be json or empty", output)}
			}
			list, err := e.containers(c.Context())
			if err != nil {
				return err
			}
			var wanted []container.Container
			for _, x := range list {
				if all || x.Running() {
					wanted = append(wanted, x)
				}
			}
			if output == "json" {
				return e.psJSON(wanted)
			}
			return e.psTable(wanted, quiet, time.Now())
		},
	}
	e.dataDir(c)
	c.Flags().BoolVarP(&all, "all", "a", false, "also those that do not run")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print ids only")
	c.Flags().StringVarP(&output, "output", "o", "", "json, or empty for text")
	return c
}

// psEntry is what `minato ps -o json` prints of one container.
type psEntry struct {
	ID, Name, Image, ImageID, State, IP string
	Command                             []string
	Ports                               []string
	ExitCode                            *int `json:",omitempty"`
	Reason                              string
	Restarts                            int
	Created                             time.Time
	Started, Finished                   time.Time `json:",omitzero"`
}

func (e *env) psJSON(list []container.Container) error {
	out := []psEntry{}
	for _, c := range list {
		p := psEntry{ID: c.Handle(), Name: c.Spec.Name, Image: c.Spec.Image, ImageID: c.Spec.ImageID, State: state(c), IP: c.IP, Command: c.Spec.Command, Ports: ports(c),
			Reason: c.Reason, Restarts: int(c.Attempt), Created: c.Created, Started: c.Started, Finished: c.Finished}
		if c.Exited() {
			p.ExitCode = &c.ExitCode
		}
		out = append(out, p)
	}
	return e.printJSON(out)
}

func state(c container.Container) string {
	switch {
	case c.Running():
		return "running"
	case c.Exited():
		return "exited"
	}
	return "created"
}

func ports(c container.Container) []string {
	out := []string{}
	for _, p := range c.Spec.Ports {
		out = append(out, p.String())
	}
	return out
}

func (e *env) psTable(list []container.Container, quiet bool, now time.Time) error {
	if quiet {
		for _, c := range list {
			fmt.Fprintln(e.out, c.Handle())
		}
		return nil
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES")
	for _, c := range list {
		command := strconv.Quote(strings.Join(c.Spec.Command, " "))
		if len(command) > 24 {
			command = command[:22] + `…"`
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s ago\t%s\t%s\t%s\n", short(c.Handle()), c.Spec.Image, command, ago(now.Sub(c.Created)), statusOf(c, now), strings.Join(ports(c), ", "), c.Spec.Name)
	}
	return w.Flush()
}

// statusOf is docker's words.
func statusOf(c container.Container, now time.Time) string {
	switch {
	case c.Running():
		return "Up " + ago(now.Sub(c.Started))
	case c.Exited() && c.Reason == "OOMKilled":
		return fmt.Sprintf("Exited (%d, out of memory) %s ago", c.ExitCode, ago(now.Sub(c.Finished)))
	case c.Exited():
		return fmt.Sprintf("Exited (%d) %s ago", c.ExitCode, ago(now.Sub(c.Finished)))
	}
	return "Created"
}

// ago is a time in its largest unit.
func ago(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.of); n == 1 {
			return "1 " + u.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	if n := int(d.Seconds()); n != 1 {
		return fmt.Sprintf("%d seconds", max(0, n))
	}
	return "1 second"
}
