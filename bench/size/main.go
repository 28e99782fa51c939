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
	if err := upstream.Build(ctx, c.Upstream, upstream.Programs()...); err != nil {
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
	theirs, err := size(files...)
	if err != nil {
		return err
	}
	r.Add(report.Row{Name: "all programs", Unit: report.Megabytes, Key: true, Ours: report.Just(report.MB(ours)), Theirs: report.Just(report.MB(theirs)), Reach: report.Reach{Figure: 70}})
	r.Add(report.Row{Name: "how many", Unit: report.Count, Ours: report.Just(1), Theirs: report.Just(float64(len(files)))})
	return nil
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
