package cli

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

func (e *env) top() *cobra.Command {
	c := &cobra.Command{
		Use: "top CONTAINER", Short: "List the processes of a container of `minato run`", Args: exactly(1, "CONTAINER"),
		ValidArgsFunction: e.completeContainers(running),
		Long:              "List what runs in the container, with this machine's ids of processes and users. The container needs no ps.",
		Example:           "  minato top web",
		RunE: func(c *cobra.Command, args []string) error {
			return e.withContainer(c.Context(), args[0], func(n *cluster.Node, x container.Container) error {
				if !x.Running() {
					return fmt.Errorf("container %s does not run", x.Spec.Name)
				}
				w := tabwriter.NewWriter(e.out, 0, 0, 3, ' ', 0)
				fmt.Fprintln(w, "UID\tPID\tPPID\tSTATE\tTIME\tRSS\tCMD")
				for _, pid := range n.Engine.Processes(x) {
					if p, ok := readProcess(pid); ok { // one that has ended meanwhile is not shown
						fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", p.uid, pid, p.parent, p.state, p.time, bytesIn1024(p.memory), p.command)
					}
				}
				return w.Flush()
			})
		},
	}
	e.dataDir(c)
	return c
}

// process is what /proc tells of one.
type process struct {
	uid, parent, state, command string
	time                        time.Duration
	memory                      uint64
}

// ticks are the kernel's units of processor time, a hundredth of a second on all machines that we know.
const ticks = 100

func readProcess(pid int) (p process, ok bool) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err1 := os.ReadFile(dir + "stat")
	status, err2 := os.ReadFile(dir + "status")
	command, err3 := os.ReadFile(dir + "cmdline")
	name, rest, cut := bytes.Cut(stat, []byte(") "))
	f := strings.Fields(string(rest))
	if err1 != nil || err2 != nil || err3 != nil || !cut || len(f) < 22 {
		return p, false
	}
	p.state, p.parent = f[0], f[1]
	user, _ := strconv.ParseUint(f[11], 10, 64)
	system, _ := strconv.ParseUint(f[12], 10, 64)
	pages, _ := strconv.ParseUint(f[21], 10, 64)
	p.time, p.memory = time.Duration(user+system)*time.Second/ticks, pages*uint64(os.Getpagesize())
	for line := range strings.Lines(string(status)) {
		if ids, is := strings.CutPrefix(line, "Uid:"); is {
			p.uid = strings.Fields(ids)[0]
		}
	}
	p.command = strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))
	if p.command == "" { // a zombie has no words any more
		_, comm, _ := bytes.Cut(name, []byte("("))
		p.command = "[" + string(comm) + "]"
	}
	return p, true
}

// bytesIn1024 is a size as limits are written.
func bytesIn1024(n uint64) string {
	unit, v := "B", float64(n)
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		unit, v = u, v/1024
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + unit
}
