package harbour

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// address is that of node i on the link.
func address(i int) string { return fmt.Sprint("192.168.86.", 10+i) }

// connect joins the nodes by a bridge in a namespace of its own, as a switch joins machines.
func (h *Harbour) connect(ctx context.Context) error {
	name := h.nodes[0].netns + "-link"
	if err := run(exec.CommandContext(ctx, "ip", "netns", "add", name)); err != nil {
		return err
	}
	h.link = name
	lines := []string{"-n " + name + " link add bridge type bridge", "-n " + name + " link set bridge up"}
	for i, n := range h.nodes {
		lines = append(lines,
			fmt.Sprintf("-n %s link add port%d type veth peer name eth0 netns %s", name, i, n.netns),
			fmt.Sprintf("-n %s link set port%d master bridge up", name, i),
			fmt.Sprintf("-n %s addr add %s/24 dev eth0", n.netns, address(i)),
			fmt.Sprintf("-n %s link set eth0 up", n.netns))
	}
	for _, line := range lines {
		if err := run(exec.CommandContext(ctx, "ip", strings.Fields(line)...)); err != nil {
			return err
		}
	}
	return nil
}
