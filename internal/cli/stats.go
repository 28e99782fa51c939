package cli

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

// statsPause is how often figures are shown, and over what time the processors' share is taken.
const statsPause = time.Second

func (e *env) stats() *cobra.Command {
	once, output := false, ""
	c := &cobra.Command{
		Use: "stats [CONTAINER...]", Short: "Show what running containers of `minato run` use", ValidArgsFunction: e.completeContainers(running),
		Long: `Show processor time, memory (without what the kernel could drop), what was written beside volumes, network and the count of
processes, every second, or once over a second. 100 % is one processor. Without names: all that run.`,
		Example: "  minato stats\n  minato stats --no-stream web\n  minato stats --no-stream -o json",
		RunE: func(c *cobra.Command, args []string) error {
			if output != "" && output != "json" {
				return exitError{2, fmt.Errorf("--output %q: must be json or empty", output)}
			}
			if e.fresh() {
				return e.showStats(nil, output, false)
			}
			return e.onNode(c.Context(), func(n *cluster.Node) error {
				err := e.watchStats(c.Context(), n, args, output, once || !isTerminal(e.out))
				if c.Context().Err() != nil {
					return nil
				}
				return err
			})
		},
	}
	e.dataDir(c)
	c.Flags().BoolVar(&once, "no-stream", false, "show the figures once; so it is where the output is no terminal")
	c.Flags().StringVarP(&output, "output", "o", "", "json, or empty for text")
	return c
}

func (e *env) watchStats(ctx context.Context, n *cluster.Node, refs []string, output string, once bool) error {
	before, err := usages(ctx, n, refs)
	if err != nil {
		return err
	}
	for {
		select {
		case <-time.After(statsPause):
		case <-ctx.Done():
			return nil
		}
		now, err := usages(ctx, n, refs)
		if err != nil {
			return err
		}
		var rows []statsRow
		for name, u := range now {
			rows = append(rows, rowOf(name, before[name], u))
		}
		sort.Slice(rows, func(i, j int) bool { return rows[i].Name < rows[j].Name })
		if err := e.showStats(rows, output, !once); err != nil || once {
			return err
		}
		before = now
	}
}

// usages asks for all that run, or for those with the names, which must run.
func usages(ctx context.Context, n *cluster.Node, refs []string) (map[string]container.Usage, error) {
	var list []container.Container
	var errs []error
	if len(refs) == 0 {
		all, err := n.Engine.List(ctx)
		list, errs = all, append(errs, err)
	}
	for _, ref := range refs {
		c, err := n.Engine.Find(ctx, ref)
		if err == nil && !c.Running() {
			err = fmt.Errorf("container %s does not run", c.Spec.Name)
		}
		list, errs = append(list, c), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out := map[string]container.Usage{}
	for _, c := range list {
		if !c.Running() {
			continue
		}
		u, err := n.Engine.Usage(ctx, c)
		if err != nil && len(refs) > 0 {
			return nil, err
		}
		if err == nil { // else it has ended meanwhile
			out[c.Spec.Name] = u
		}
	}
	return out, nil
}

// statsRow is one line.
type statsRow struct {
	Name                     string
	CPUPercent               float64
	MemoryBytes, MemoryLimit uint64
	LayerBytes               uint64
	ReceivedBytes, SentBytes uint64
	Processes                int
}

func rowOf(name string, before, now container.Usage) statsRow {
	r := statsRow{Name: name, MemoryBytes: now.Memory, MemoryLimit: now.Limit, LayerBytes: now.Layer, ReceivedBytes: now.Received, SentBytes: now.Sent, Processes: now.Processes}
	if d := now.At.Sub(before.At); d > 0 && !before.At.IsZero() && now.CPU >= before.CPU {
		r.CPUPercent = float64(now.CPU-before.CPU) / float64(d) * 100
	}
	return r
}

func (e *env) showStats(rows []statsRow, output string, screen bool) error {
	if output == "json" {
		return e.printJSON(append([]statsRow{}, rows...))
	}
	if screen {
		fmt.Fprint(e.out, "\x1b[H\x1b[2J")
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "NAME\tCPU\tMEMORY / LIMIT\tWRITTEN\tNETWORK IN / OUT\tPROCESSES")
	for _, r := range rows {
		limit := "-"
		if r.MemoryLimit > 0 {
			limit = bytesIn1024(r.MemoryLimit)
		}
		fmt.Fprintf(w, "%s\t%.2f%%\t%s / %s\t%s\t%s / %s\t%d\n", r.Name, r.CPUPercent, bytesIn1024(r.MemoryBytes), limit, bytesIn1024(r.LayerBytes),
			bytesIn1024(r.ReceivedBytes), bytesIn1024(r.SentBytes), r.Processes)
	}
	return w.Flush()
}
