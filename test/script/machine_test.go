package script

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// machine NAME ADDRESS makes another machine, as far as the network can tell: a namespace with an address on a link that
// the story's own has 192.168.86.10 on. $NAME, in capitals, is its path; its node keeps its data in $WORK/NAME. Both go with
// the story.
func machine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: machine NAME ADDRESS")
	}
	name, ns := args[0], fmt.Sprintf("story-%d-%s", os.Getpid(), args[0])
	ip := func(line string) { ts.Check(finish(exec.Command("ip", strings.Fields(line)...))) }
	if ts.Getenv("MACHINES") == "" {
		ts.Setenv("MACHINES", "made")
		ip("link add harbour type bridge")
		ip("addr add 192.168.86.10/24 dev harbour")
		ip("link set harbour up")
		ts.Defer(func() { ts.Check(finish(exec.Command("ip", "link", "del", "harbour"))) })
	}
	ip("netns add " + ns)
	data := ts.MkAbs(name)
	ts.Setenv(strings.ToUpper(name), "/run/netns/"+ns)
	ts.Defer(func() {
		ts.Check(finish(exec.Command(ts.Getenv("BIN")+"/minato", "down", "--purge", "--data-dir", data)))
		ts.Check(finish(exec.Command("ip", "link", "del", "to-"+name))) // now, and not when the kernel comes to the namespace
		ts.Check(finish(exec.Command("ip", "netns", "del", ns)))
	})
	ip("link add to-" + name + " type veth peer name eth0 netns " + ns)
	ip("link set to-" + name + " master harbour up")
	ip("-n " + ns + " link set lo up")
	ip("-n " + ns + " addr add " + args[1] + "/24 dev eth0")
	ip("-n " + ns + " link set eth0 up")
}

// finish runs c; its error has what c said.
func finish(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w\n%s", c.Args, err, out)
	}
	return nil
}
