package script

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/runtime/ledger"
)

// audit [SECONDS] compares what the API says of pods with what the kernel and the ledgers on disk hold: sandboxes,
// containers, mounts, cgroups, links, leases, directories, nftables elements. Whatever no pod explains is an error once
// SECONDS (120) have passed, since the last step of a removal comes after the pod has left the API.
func audit(ts *testscript.TestScript, neg bool, args []string) {
	limit := 2 * time.Minute
	if len(args) > 0 {
		d, err := time.ParseDuration(args[0] + "s")
		ts.Check(err)
		limit = d
	}
	var left []string
	var counts map[string]int
	for deadline := time.Now().Add(limit); ; <-time.After(200 * time.Millisecond) {
		var err error
		left, counts, err = unexplained(ts)
		if err == nil && len(left) == 0 {
			ts.Logf("audit: everything is explained: %v", counts)
			return
		}
		if time.Now().After(deadline) {
			ts.Check(err)
			break
		}
	}
	slices.Sort(left)
	for _, l := range left {
		ts.Logf("unexplained: %s", l)
	}
	ts.Fatalf("%d things that no pod explains (%v)", len(left), counts)
}

// books are what the API's pods entitle the node to have.
type books struct {
	uids, containers, sandboxes, ips map[string]bool
	runs                             map[string]bool // containers that run, as the ledger has it
	left                             []string
	counts                           map[string]int
}

func (b *books) check(kind, name string, ok bool) {
	b.counts[kind]++
	if !ok {
		b.left = append(b.left, kind+" "+name)
	}
}

func unexplained(ts *testscript.TestScript) ([]string, map[string]int, error) {
	data := ts.Getenv("DATA")
	id, err := cluster.ReadIdentity(data)
	if err != nil {
		return nil, nil, err
	}
	b := &books{uids: map[string]bool{}, containers: map[string]bool{}, sandboxes: map[string]bool{}, ips: map[string]bool{}, runs: map[string]bool{}, counts: map[string]int{}}
	if err := b.pod(ts); err != nil {
		return nil, nil, err
	}
	runDir := filepath.Join("/run/minato", id.ID)
	for _, f := range []func() error{
		func() error { return b.ledgers(filepath.Join(data, "runtime", "ledger")) },
		func() error { return b.directories(data, runDir) },
		func() error { return b.mounts(data, runDir) },
		func() error { return b.cgroups("minato-" + id.ID) },
		func() error { return b.helpers(filepath.Join(runDir, "shim")) },
		func() error { return b.sessions(filepath.Join(runDir, "shim", "x")) },
		func() error { return b.network(id, filepath.Join(data, "network")) },
	} {
		if err := f(); err != nil {
			return nil, nil, err
		}
	}
	return b.left, b.counts, nil
}

// pod notes every pod's UID, addresses and containers: the present one and the last that ended.
func (b *books) pod(ts *testscript.TestScript) error {
	out, err := kubectl(ts, "get", "pods", "-A", "-o", "json")
	if err != nil {
		return err
	}
	var pods corev1.PodList
	if err := json.Unmarshal([]byte(out), &pods); err != nil {
		return err
	}
	bare := func(id string) string { _, after, _ := strings.Cut(id, "://"); return after }
	for _, p := range pods.Items {
		b.uids[string(p.UID)] = true
		for _, ip := range p.Status.PodIPs {
			b.ips[ip.IP] = true
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			b.containers[bare(c.ContainerID)] = true
			if t := c.LastTerminationState.Terminated; t != nil {
				b.containers[bare(t.ContainerID)] = true
			}
		}
	}
	return nil
}

// ledgers reads the runtime's records: one sandbox for each pod, containers that the API names.
func (b *books) ledgers(dir string) error {
	sandboxes, err := ledger.Read[ledger.Sandbox](filepath.Join(dir, "sandboxes.journal"))
	if err != nil {
		return err
	}
	kept := map[string]int{}
	for _, r := range sandboxes {
		uid := r.Config.GetMetadata().GetUid()
		if r.Intent == ledger.Kept {
			kept[uid]++
		}
		b.sandboxes[r.ID] = true
		b.check("sandbox", r.ID+" of pod "+uid, b.uids[uid] && kept[uid] <= 1)
	}
	containers, err := ledger.Read[ledger.Container](filepath.Join(dir, "containers.journal"))
	running := map[string]int{} // by sandbox and name: none may run twice
	for _, r := range containers {
		b.check("container", r.ID, b.containers[r.ID] && b.sandboxes[r.Sandbox])
		if r.State() == runtimeapi.ContainerState_CONTAINER_RUNNING {
			b.runs[r.ID] = true
			who := r.Sandbox + "/" + r.Config.GetMetadata().GetName()
			running[who]++
			b.check("running container", who, running[who] == 1)
		}
	}
	return err
}

var (
	uid   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	hexID = regexp.MustCompile(`[0-9a-f]{64}`)
)

func decode(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func each(pattern string, f func(path string) error) error {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, p := range paths {
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

// directories are named after the pod, the sandbox or the container whose they are.
func (b *books) directories(data, runDir string) error {
	ofPod := func(name string) bool { return b.uids[uid.FindString(name)] }
	none := func(string) bool { return false }
	for pattern, known := range map[string]func(string) bool{
		data + "/log/pods/*":             ofPod,
		data + "/kubelet/pods/*":         ofPod,
		data + "/runtime/containers/*":   b.container,
		data + "/images/tmp/*":           none,
		runDir + "/runtime/containers/*": b.container,
		runDir + "/runtime/sandboxes/*":  func(n string) bool { return b.sandboxes[n] },
		runDir + "/shim/c/*":             b.process,
		runDir + "/shim/lc/*":            b.process,
		runDir + "/shim/exits/*":         b.process,
		runDir + "/shim/logs/*":          b.process,
		data + "/runtime/ledger/*[^l]":   none, // half-written journals
		data + "/network/*[^e]":          none,
	} {
		err := each(pattern, func(path string) error {
			b.check(filepath.Base(filepath.Dir(path))+" in "+filepath.Base(filepath.Dir(filepath.Dir(path))), filepath.Base(path), known(filepath.Base(path)))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *books) container(name string) bool { return b.containers[name] }

// process is a container or the first process of a sandbox, as the shim names them.
func (b *books) process(name string) bool {
	id := hexID.FindString(name)
	return b.containers[id] || b.sandboxes[id]
}

func (b *books) mounts(data, runDir string) error {
	points, err := fields("/proc/self/mountinfo", 4)
	for _, p := range points {
		switch {
		case strings.HasPrefix(p, runDir+"/runtime/"):
			b.check("mount", p, b.process(p))
		case strings.HasPrefix(p, data+"/kubelet/pods/"):
			b.check("mount", p, b.uids[uid.FindString(p)])
		}
	}
	return err
}

func (b *books) cgroups(root string) error {
	all, err := cgroups()
	for _, path := range all {
		_, below, ok := strings.Cut(path, "/"+root+"/kubepods/")
		if !ok {
			continue
		}
		pod, id := uid.FindString(below), hexID.FindString(below)
		b.check("cgroup", path, (pod == "" || b.uids[pod]) && (id == "" || b.process(id)))
		if b.containers[id] && !b.runs[id] {
			procs, _ := os.ReadFile(filepath.Join(path, "cgroup.procs")) // it may go while we look
			b.check("cgroup of an ended container", path, len(procs) == 0)
		}
	}
	return err
}

// helpers build and enter containers and end within the moment.
func (b *books) helpers(shimDir string) error {
	return each("/proc/[0-9]*/cmdline", func(path string) error {
		raw, err := os.ReadFile(path)
		args := strings.Split(string(raw), "\x00")
		if err == nil && len(args) > 2 && args[0] == "minato-shim" && strings.HasPrefix(args[2], shimDir+"/") {
			b.check("helper", strings.Join(args, " "), false)
		}
		return nil // it may end while we look
	})
}

// sessions of exec that are on disk are of containers that run.
func (b *books) sessions(dir string) error {
	return each(filepath.Join(dir, "*"), func(path string) error {
		var r struct{ Container string }
		err := decode(filepath.Join(path, "session.json"), &r)
		b.check("exec session", filepath.Base(path)+" in "+r.Container, err == nil && b.runs[r.Container])
		return nil // it may end while we look
	})
}

// network holds one lease and one link for each pod that runs, and tables that speak of nobody else.
func (b *books) network(id cluster.Identity, leases string) error {
	n := 0
	err := each(filepath.Join(leases, "*.lease"), func(path string) error {
		var l struct {
			ID string
			IP string
		}
		err := decode(path, &l)
		n++
		b.check("lease", l.ID+" "+l.IP, b.sandboxes[l.ID] && b.ips[l.IP])
		return err
	})
	if err != nil {
		return err
	}
	out, err := command("ip", "-o", "link", "show", "master", id.Bridge)
	if err != nil {
		return err
	}
	veths := 0
	for _, line := range out {
		if line != "" {
			veths++
		}
	}
	b.check("links", fmt.Sprintf("%d, with %d leases", veths, n), veths == n)
	return b.elements(id)
}

var address = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+\b(?:/\d+)?`)

func (b *books) elements(id cluster.Identity) error {
	gateway := id.PodCIDR.Addr().Next().String()
	for _, table := range []string{"minato-" + id.ID, "minato-svc-" + id.ID} {
		out, err := exec.Command("nft", "list", "table", "ip", table).Output()
		if err != nil {
			return fmt.Errorf("nft list table ip %s: %w", table, err)
		}
		for _, a := range address.FindAllString(string(out), -1) {
			ip, err := netip.ParseAddr(a)
			if err != nil || !id.PodCIDR.Contains(ip) {
				continue // a range, a Service
			}
			b.check("element", table+" "+a, a == gateway || b.ips[a])
		}
	}
	return nil
}
