// Command size measures what the programs of a whole node weigh on disk, ours and upstream's, all stripped.
//
//	go run ./bench/size [-json FILE] [-minato bin/minato] [-upstream DIR] [-cni DIR]
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	sides.Flags
	node upstream.NodeConfig
}

func main() {
	var c config
	c.Register()
	sides.RegisterNode(&c.node)
	report.Main(report.Result{Bench: "size", Title: "Size of the programs", About: "Stripped programs of a whole node. Upstream's are etcd, kube-apiserver, " +
		"kube-controller-manager, kube-scheduler, kubelet, kube-proxy, containerd with its shim, runc, CoreDNS and the CNI plugins bridge, host-local, loopback and portmap."}, c.run)
}

func (c *config) run(ctx context.Context, r *report.Result) error {
	if err := upstream.Build(ctx, c.Upstream, append(upstream.Programs(), upstream.Builder...)...); err != nil {
		return err
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("%w; install Debian's runc", err)
	}
	files := []string{runc}
	for _, p := range upstream.Programs() {
		if p != "ctr" { // the benches' tool
			files = append(files, filepath.Join(c.Upstream, p))
		}
	}
	for _, p := range strings.Fields("bridge host-local loopback portmap") {
		files = append(files, filepath.Join(c.node.CNI, p))
	}
	ours, err := size(c.Minato)
	if err != nil {
		return err
	}
	builder, err := packedBuilder()
	if err != nil {
		return err
	}
	theirs, err := size(files...)
	if err != nil {
		return err
	}
	buildkitd, err := size(filepath.Join(c.Upstream, upstream.Builder[0]))
	if err != nil {
		return err
	}
	r.Add(report.Row{Name: "all programs of a node", Unit: report.Megabytes, Key: true, Ours: report.Just(report.MB(ours - builder)), Theirs: report.Just(report.MB(theirs)), Reach: report.Reach{Figure: 70}})
	r.Add(report.Row{Name: "with what builds images (upstream: buildkitd)", Unit: report.Megabytes, Ours: report.Just(report.MB(ours)), Theirs: report.Just(report.MB(theirs + buildkitd)), Reach: report.Reach{Figure: 95}})
	r.Add(report.Row{Name: "how many", Unit: report.Count, Ours: report.Just(1), Theirs: report.Just(float64(len(files)))})
	return nil
}

// packedBuilder is what the image builder, packed in our program, adds to it.
func packedBuilder() (int64, error) {
	files, err := filepath.Glob("internal/cluster/bin/minato-build.*.zst")
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("internal/cluster/bin has %d packed builders; run `make build`", len(files))
	}
	if err != nil {
		return 0, err
	}
	return size(files...)
}

func size(files ...string) (n int64, err error) {
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		n += st.Size()
	}
	return n, nil
}
