package differential

import (
	"archive/tar"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
)

var kubectls = flag.String("kubectl", "kubectl,../../bin/kubectl", "which are run on pods, separated by commas")

// TestKubectlOnPods runs kubectl/pods.txt against two whole clusters, ours and upstream's with its own kubelet on
// containerd: what kubectl does with containers that really run is compared, output, errors and exit codes.
func TestKubectlOnPods(t *testing.T) {
	image := toolbox(t)
	theirs, ours := theirCluster(t, image), ourCluster(t, image)
	story, err := kubectlStory.ReadFile("kubectl/pods.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := &Pair{t: t, pairs: newPairing()}
	for i, name := range strings.Split(*kubectls, ",") {
		program, err := exec.LookPath(name)
		if err == nil {
			program, err = filepath.Abs(program)
		}
		if err != nil {
			t.Fatalf("%v: the machine's kubectl and that of `make build` are compared", err)
		}
		who := fmt.Sprint("pods-", i+1)
		o, u := ours.terminal(t, program, who), theirs.terminal(t, program, who)
		began := time.Now()
		for line := range strings.Lines(string(story)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				p.command("pods/"+who, line, o, u)
			}
		}
		t.Logf("%s: the story took %s", name, time.Since(began).Round(time.Second))
	}
	judge(t, p, func(step string) bool { return strings.HasPrefix(step, "pods/") })
}

// A whole is a cluster with a node.
type whole struct {
	net    *measure.Netns
	config string // kubeconfig of its administrator
	node   string
}

func ourCluster(t *testing.T, image string) *whole {
	c, err := measure.NewCluster(t.Context(), "../../bin/minato", "pods")
	if err != nil {
		t.Fatalf("%v: run `make build` first", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	minato, err := filepath.Abs("../../bin/minato")
	if err == nil {
		err = measure.Output(c.Up(t.Context()))
	}
	if err == nil {
		err = measure.Output(c.Net.Command(t.Context(), minato, "image", "load", image, "--data-dir", c.DataDir))
	}
	if err != nil {
		t.Fatal(err)
	}
	return (&whole{net: c.Net, config: filepath.Join(c.DataDir, "admin.kubeconfig")}).ready(t)
}

func theirCluster(t *testing.T, image string) *whole {
	c := prepareNode(t)
	for _, start := range []func(context.Context) error{c.StartEtcd, c.StartAPI, c.StartControllers, c.StartScheduler, c.StartKubelet,
		func(ctx context.Context) error { return c.Import(ctx, image) }} {
		if err := start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	config, err := c.AdminConfig()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.NodeWords())
		}
	})
	w := (&whole{net: c.Net, config: config}).ready(t)
	if w.node != upstream.NodeName {
		t.Fatalf("upstream's node is called %s", w.node)
	}
	return w
}

// ready waits for the node.
func (w *whole) ready(t *testing.T) *whole {
	eventually(t, func() error {
		out, err := w.net.Command(t.Context(), "../../bin/kubectl", "--kubeconfig", w.config, "get", "nodes", "-o",
			`jsonpath={.items[0].metadata.name}{" "}{.items[0].status.conditions[?(@.type=="Ready")].status}{" "}{.items[0].spec.taints}`).CombinedOutput()
		name, ok := strings.CutSuffix(string(out), " True ")
		if err != nil || !ok {
			return fmt.Errorf("the node: %w: %s", errors.Join(err), out)
		}
		w.node = name
		return nil
	})
	return w
}

// terminal is where kubectl is run, in a namespace of its own, within the cluster's network.
func (w *whole) terminal(t *testing.T, program, ns string) *terminal {
	x, err := bareTerminal(t, program, ns)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(w.config)
	if err == nil {
		err = os.WriteFile(filepath.Join(x.dir, "kubeconfig"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	x.net, x.node = w.net, w.node
	x.env = append(x.env, "NODE="+w.node)
	for _, line := range []string{"kubectl create namespace $NS", "kubectl config set-context --current --namespace=$NS"} {
		if out, err := x.run(t.Context(), line); err != nil || out.exit != 0 {
			t.Fatalf("%s: %v %s", line, err, out.stderr)
		}
	}
	eventually(t, func() error { // without it no pod is admitted
		out, err := x.run(t.Context(), "kubectl get serviceaccount default")
		if err == nil && out.exit != 0 {
			err = errors.New(out.stderr)
		}
		return err
	})
	return x
}

var (
	anyIP       = regexp.MustCompile(`\b10\.\d+\.\d+\.\d+\b`)
	containerID = regexp.MustCompile(`\b[a-z]+://[0-9a-f]{64}`)
	hexID       = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	replica     = regexp.MustCompile(`(-[bcdf-hj-np-tv-z2456789]{7,10})-[bcdf-hj-np-tv-z2456789]{5}\b`) // a pod of a Deployment's ReplicaSet
	noise       = regexp.MustCompile(`(?m)^.*(Unknown stream id \d|Copying stdin failed).*\n`)          // of a kubectl whose command has ended already
	debugger    = regexp.MustCompile(`\b(debugger|node-debugger-<node>)-[bcdf-hj-np-tv-z2456789]{5}\b`)
)

// podsNeutral takes out of a text what two nodes would not have in common.
func (x *terminal) podsNeutral(s string) string {
	if x.node == "" {
		return s
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "^@", ""), x.node, "<node>") // what a terminal shows of script's end of input
	s = noise.ReplaceAllString(s, "")
	s = anyIP.ReplaceAllString(s, "<ip>")
	s = containerID.ReplaceAllString(s, "<container id>")
	s = hexID.ReplaceAllString(s, "<id>")
	s = replica.ReplaceAllString(s, "$1-<random>")
	return debugger.ReplaceAllString(s, "$1-<random>")
}

// toolbox writes an archive of an image that is Debian's static busybox.
func toolbox(t *testing.T) string {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v: install busybox-static", err)
	}
	file := filepath.Join(t.TempDir(), "toolbox.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	err = upstream.Archive(f, "docker.io/library/toolbox:1", func(w *tar.Writer) error { return busybox(w, program) })
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

func busybox(w *tar.Writer, program []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return err
	}
	if _, err := w.Write(program); err != nil {
		return err
	}
	for applet := range strings.FieldsSeq("sh ls cat echo sleep id env wget hostname touch ps kill true false grep head tail httpd mkdir rm date seq wc tar tty stty sort sha256sum") {
		if err := w.WriteHeader(&tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, dir := range []string{"tmp/", "etc/", "proc/", "sys/", "dev/"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o1777}); err != nil {
			return err
		}
	}
	const users = "root:x:0:0:root:/:/bin/sh\n"
	if err := w.WriteHeader(&tar.Header{Name: "etc/passwd", Mode: 0o644, Size: int64(len(users))}); err != nil {
		return err
	}
	_, err := io.WriteString(w, users)
	return err
}
