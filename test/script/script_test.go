// Package script runs whole-program stories: real minato, real kubectl, real containers, in a network namespace of
// their own with no way out. Each story in testdata is one cluster; `make test-script` builds what they need.
package script

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/run/alone"
)

// TestMain runs the tests in a fresh network namespace that has only a loopback link.
func TestMain(m *testing.M) { os.Exit(alone.Place{}.Run(m)) }

// TestStories runs the stories side by side, as many at once as there are processors.
func TestStories(t *testing.T) { stories(t, "testdata") }

// TestAlone runs the stories that compare the whole machine before and after.
func TestAlone(t *testing.T) { stories(t, "testdata/alone") }

// TestChaos runs the stories of survival, long and at random: `make chaos`.
func TestChaos(t *testing.T) { stories(t, "testdata/chaos") }

func stories(t *testing.T, dir string) {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"minato", "kubectl"} {
		if _, err := os.Stat(filepath.Join(bin, p)); err != nil {
			t.Fatalf("%v: run `make build` first", err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		Setup:               func(e *testscript.Env) error { return setUp(e, bin) },
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"up":         up,
			"eventually": eventually,
			"image":      mkImage,
			"registry":   registry,
			"crash":      crash,
			"lines":      lines,
			"storm":      storm,
			"churn":      churn,
			"audit":      audit,
			"history":    history,
			"disk":       disk,
			"footprint":  footprint,
			"machine":    machine,
		},
	})
}

// setUp gives each story a data directory, a free port and a way back.
func setUp(e *testscript.Env, bin string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	// Sockets have short paths: the data directory may be deep, /run is not.
	data := filepath.Join(e.WorkDir, "data")
	path := bin + "/story:/usr/bin:/usr/sbin:/bin:/sbin:" + bin
	e.Vars = append(e.Vars, "HOME="+e.WorkDir, "DATA="+data, fmt.Sprintf("PORT=%d", port), "KUBECONFIG="+filepath.Join(data, "admin.kubeconfig"),
		"MINATO_DATA_DIR="+data, "BIN="+bin, "PATH="+path, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+strconv.FormatBool(!losesOutput(path)))
	e.Defer(func() {
		e.T().Log(state(bin, data))
		if t, ok := e.T().(interface{ Failed() bool }); ok && t.Failed() {
			autopsy(e, data)
		}
		down := exec.Command(filepath.Join(bin, "minato"), "down", "--purge", "--data-dir", data)
		if out, err := down.CombinedOutput(); err != nil {
			e.T().Log("down: ", err, string(out))
		}
	})
	return nil
}

var clientMinor = regexp.MustCompile(`"gitVersion": "v1\.(\d+)\.`)

// losesOutput says whether the kubectl of path is older than 1.34. Over a WebSocket such a one begins to read before it has
// made the streams that it reads for, and drops what a quick command says meanwhile (kubernetes/kubernetes#131189).
func losesOutput(path string) bool {
	c := exec.Command("sh", "-c", "kubectl version --client -o json")
	c.Env = append(os.Environ(), "PATH="+path)
	out, err := c.Output()
	m := clientMinor.FindSubmatch(out)
	if err != nil || m == nil {
		return true
	}
	minor, err := strconv.Atoi(string(m[1]))
	return err != nil || minor < 34
}

// state is what a failed story shows of its cluster's end.
func state(bin, data string) string {
	var out strings.Builder
	for _, args := range []string{"get pods -A -o wide", "get events -A --sort-by=.lastTimestamp"} {
		c := exec.Command(filepath.Join(bin, "kubectl"), append([]string{"--request-timeout=3s", "--kubeconfig", filepath.Join(data, "admin.kubeconfig")}, strings.Fields(args)...)...)
		b, err := c.CombinedOutput()
		fmt.Fprintf(&out, "kubectl %s: %v\n%s\n", args, err, tail(b, 6000))
	}
	if log, err := os.ReadFile(filepath.Join(data, "log", "minato.log")); err == nil {
		fmt.Fprintf(&out, "minato.log:\n%s", tail(log, 4000))
	}
	return out.String()
}

var ports atomic.Int32

// freePort is below those that the kernel gives to callers: one of them could have it when a cluster starts again.
func freePort() (int, error) {
	for {
		port := 20000 + int(ports.Add(1))
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, err
		}
	}
}

// up [flags] starts the story's cluster and waits for it.
func up(ts *testscript.TestScript, neg bool, args []string) {
	args = append([]string{"up", "--detach", "--data-dir", ts.Getenv("DATA"), "--port", ts.Getenv("PORT")}, args...)
	err := ts.Exec("minato", args...)
	if err != nil && !neg {
		if log, e := os.ReadFile(filepath.Join(ts.Getenv("DATA"), "log", "minato.log")); e == nil {
			ts.Logf("%s", tail(log, 4000))
		}
		ts.Fatalf("up: %v", err)
	}
	if err == nil && neg {
		ts.Fatalf("up: succeeded unexpectedly")
	}
	if id, err := cluster.ReadIdentity(ts.Getenv("DATA")); err == nil {
		ts.Setenv("CLUSTER", id.ID)
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// eventually SECONDS command args... runs the command until it succeeds (with !: fails).
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually SECONDS command [args]")
	}
	limit, err := time.ParseDuration(args[0] + "s")
	if err != nil {
		ts.Fatalf("eventually: %v", err)
	}
	deadline := time.Now().Add(limit)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := ts.Exec(args[1], args[2:]...)
		if (err == nil) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("eventually %v: still %v after %s", args[1:], err, limit)
		}
		<-time.After(pause)
	}
}
