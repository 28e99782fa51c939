package script

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"

	"minato.dev/minato/internal/network"
)

// footprint save FILE writes down what is on the machine that a cluster could leave behind; footprint same FILE
// compares.
func footprint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: footprint save|same FILE")
	}
	now, err := traces(ts.Getenv("DATA"))
	ts.Check(err)
	switch args[0] {
	case "save":
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(now, "\n")), 0o644))
	case "same":
		before := strings.Split(ts.ReadFile(args[1]), "\n")
		for _, line := range now {
			if !slices.Contains(before, line) && !foreign(ts, line) {
				ts.Logf("left behind: %s", line)
				neg = true
			}
		}
		if neg {
			ts.Fatalf("the machine is not as it was")
		}
	}
}

var clusterID = regexp.MustCompile(`(?:/run/minato/|minato-)([0-9a-f]{8})\b`)

// testNames are in what the tests of other rooms make.
var testNames = []string{"shimtest", "/run/mrt", "/minato-rt-", "minato-test-", "minato-kubelet-"}

// foreign reports whether a trace is another cluster's, or another test's, that came up meanwhile: mounts, cgroups,
// processes and files are the whole machine's. A trace that names nobody counts as ours.
func foreign(ts *testscript.TestScript, line string) bool {
	if strings.HasPrefix(line, "cgroup ") && !strings.Contains(line, "minato") {
		return true // all of ours are below one of our name
	}
	if m := clusterID.FindStringSubmatch(line); m != nil {
		return m[1] != ts.Getenv("CLUSTER")
	}
	if _, data, ok := strings.Cut(line, "--data-dir "); ok {
		return !strings.HasPrefix(data, ts.Getenv("DATA"))
	}
	if at, ok := strings.CutPrefix(line, "mount "+os.TempDir()); ok {
		return !strings.HasPrefix(os.TempDir()+at, ts.Getenv("WORK"))
	}
	if strings.Contains(line, "/go/pkg/tool/") {
		return true // a compiler that has our name among its arguments
	}
	return slices.ContainsFunc(testNames, func(s string) bool { return strings.Contains(line, s) })
}

// traces lists processes that belong to a cluster, mounts, cgroups, links, routes, tables and files outside of data.
func traces(data string) (out []string, err error) {
	collect := func(kind string, f func() ([]string, error)) {
		if err != nil {
			return
		}
		var list []string
		list, err = f()
		for _, x := range list {
			out = append(out, kind+" "+x)
		}
	}
	collect("mount", func() ([]string, error) { return fields("/proc/self/mountinfo", 4) })
	collect("process", processes)
	collect("cgroup", cgroups)
	collect("link", links)
	collect("route", func() ([]string, error) { return command("ip", "route", "show", "table", "all") })
	collect("table", func() ([]string, error) { return command("nft", "list", "tables") })
	collect("file", func() ([]string, error) { return files("/run/minato", "/run/netns", "/var/run/netns") })
	return out, err
}

func fields(path string, n int) (out []string, err error) {
	b, err := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		out = append(out, strings.Fields(line)[n])
	}
	return out, err
}

func processes() (out []string, err error) {
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range dirs {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		line := strings.ReplaceAll(string(b), "\x00", " ")
		if strings.Contains(line, "minato") && !strings.Contains(line, ".test") {
			out = append(out, line)
		}
	}
	return out, err
}

func cgroups() (out []string, err error) {
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			out = append(out, path)
		}
		return nil // a group may end while we walk
	})
	return out, err
}

func links() (out []string, err error) {
	list, err := network.Dump(netlink.LinkList)
	for _, l := range list {
		out = append(out, l.Attrs().Name)
	}
	return out, err
}

func command(name string, args ...string) ([]string, error) {
	b, err := exec.Command(name, args...).Output()
	return strings.Split(strings.TrimSpace(string(b)), "\n"), err
}

func files(roots ...string) (out []string, err error) {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && path != root {
				out = append(out, path)
			}
			return nil // a root that is not there has no files
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
