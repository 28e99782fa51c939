package script

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/failpoint"
)

// faults are what churn lets happen. Each ends with a cluster that is up.
var faults = map[string]func(c *churner){
	// The agent dies.
	"kill": func(c *churner) {
		crash(c.ts, false, nil)
		up(c.ts, false, nil)
	},
	// It dies, and again as soon as it has come up.
	"twice": func(c *churner) {
		crash(c.ts, false, nil)
		up(c.ts, false, nil)
		<-time.After(time.Duration(c.draw.IntN(100)) * time.Millisecond)
		crash(c.ts, false, nil)
		up(c.ts, false, nil)
	},
	// It dies, and the next one dies while it starts.
	"start": func(c *churner) {
		crash(c.ts, false, nil)
		c.cut(time.Duration(20+c.draw.IntN(600)) * time.Millisecond)
		up(c.ts, false, nil)
	},
	// The parent of all containers dies.
	"shim": func(c *churner) { c.killHelper("shim") },
	// What holds the shim's files dies.
	"keeper": func(c *churner) { c.killHelper("keeper") },
	// Agent and shim die together, as when a machine is short of memory.
	"agent+shim": func(c *churner) {
		c.killHelper("shim")
		crash(c.ts, false, nil)
		up(c.ts, false, nil)
	},
	// Shim and keeper die: exit statuses of what ran are lost.
	"both": func(c *churner) {
		c.rebooted = true
		c.killHelper("keeper", "shim")
	},
	// All three die: agent, shim and keeper.
	"all": func(c *churner) {
		c.rebooted = true
		c.killHelper("keeper", "shim")
		crash(c.ts, false, nil)
		up(c.ts, false, nil)
	},
	// The agent dies at a step of its work, whichever it comes to, while pods come and go.
	"point": func(c *churner) {
		crash(c.ts, false, nil)
		c.dieAt(1 + c.draw.IntN(150))
		up(c.ts, false, nil)
	},
	// Packets to the API and to the kubelet are lost for a while.
	"partition": func(c *churner) { c.partition(time.Duration(200+c.draw.IntN(4000)) * time.Millisecond) },
	// The user stops everything, which is to the state on disk nothing but a reboot.
	"down": func(c *churner) {
		c.rebooted = true
		c.ts.Check(c.ts.Exec("minato", "down", "--data-dir", c.ts.Getenv("DATA")))
		up(c.ts, false, nil)
	},
}

func (c *churner) fault(kind string) {
	do, ok := faults[kind]
	if !ok {
		c.ts.Fatalf("churn: unknown fault %q", kind)
	}
	do(c)
}

// cut kills a start on its way.
func (c *churner) cut(after time.Duration) {
	data := c.ts.Getenv("DATA")
	cmd := exec.Command(filepath.Join(c.ts.Getenv("BIN"), "minato"), "up", "--detach", "--merge-kubeconfig=false", "--data-dir", data, "--port", c.ts.Getenv("PORT"))
	c.ts.Check(cmd.Start())
	<-time.After(after)
	if pid, err := cluster.Running(data); err == nil && pid != 0 {
		crash(c.ts, false, nil)
	}
	_ = cmd.Wait() // it says that the cluster ended, or that it is up
	if pid, err := cluster.Running(data); err == nil && pid != 0 {
		crash(c.ts, false, nil)
	}
}

// dieAt starts an agent that ends itself at its nth step, and gives it pods to work on until then.
func (c *churner) dieAt(n int) {
	data := c.ts.Getenv("DATA")
	cmd := exec.Command(filepath.Join(c.ts.Getenv("BIN"), "minato"), "up", "--detach", "--merge-kubeconfig=false", "--data-dir", data, "--port", c.ts.Getenv("PORT"))
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", failpoint.Env, n))
	out, err := cmd.CombinedOutput()
	c.ts.Logf("to die at step %d: up says %v", n, err)
	if err != nil && !strings.Contains(string(out), "the cluster ended") {
		c.ts.Fatalf("up: %v: %s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wait sync.WaitGroup
	c.more++
	for _, act := range c.acts(1000 + c.more) {
		wait.Go(func() { act(ctx) })
	}
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if pid, err := cluster.Running(data); err == nil && pid == 0 {
			break
		}
	}
	cancel()
	wait.Wait()
	if pid, err := cluster.Running(data); err == nil && pid != 0 {
		crash(c.ts, false, nil)
	}
}

// partition drops what is on its way from and to the API's and the kubelet's port.
func (c *churner) partition(length time.Duration) {
	id, err := cluster.ReadIdentity(c.ts.Getenv("DATA"))
	c.ts.Check(err)
	ports := fmt.Sprintf("{ %s, %d }", c.ts.Getenv("PORT"), id.KubeletPort)
	rules := "table inet partition { chain output { type filter hook output priority 0; tcp dport " + ports + " drop; tcp sport " + ports + " drop; }; }"
	c.ts.Check(nft(rules))
	<-time.After(length)
	c.ts.Check(nft("delete table inet partition"))
}

func nft(rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// killHelper sends SIGKILL to this cluster's shim or keeper.
func (c *churner) killHelper(modes ...string) {
	for _, mode := range modes {
		want := "minato-shim\x00" + mode + "\x00/run/minato/" + c.ts.Getenv("CLUSTER") + "/shim"
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		c.ts.Check(err)
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(b), want) {
				pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
				c.ts.Check(err)
				c.ts.Check(syscall.Kill(pid, syscall.SIGKILL))
			}
		}
	}
}
