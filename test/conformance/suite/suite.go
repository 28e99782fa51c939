// Package suite runs tests of the built e2e binary against a cluster, in parallel by ginkgo, and reads what they did. The
// command conformance calls it; nothing here is safe for concurrent use.
package suite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"minato.dev/minato/test/conformance/ratchet"
)

// Suite says what to run and where.
type Suite struct {
	Bin, Kubectl, Kubeconfig string
	Out                      string        // reports and logs
	Procs                    int           // for tests that may run side by side
	Each                     time.Duration // limit for one test
	Nodes                    int
	// Command makes a command that runs where the cluster is reached.
	Command func(ctx context.Context, name string, args ...string) *exec.Cmd
	Log     *slog.Logger
}

// Run runs the tests, first those that may run side by side, and returns the results of all: a test that was cut off
// failed. Phase names the log and the reports.
func (s Suite) Run(ctx context.Context, phase string, tests []ratchet.Entry, limit time.Duration) (map[string]Result, error) {
	var parallel, serial []string
	for _, t := range tests {
		if t.Serial() {
			serial = append(serial, t.Test)
		} else {
			parallel = append(parallel, t.Test)
		}
	}
	results := map[string]Result{}
	var errs []error
	for _, p := range []struct {
		name  string
		tests []string
		procs int
	}{{phase + "parallel", parallel, s.Procs}, {phase + "serial", serial, 1}} {
		if len(p.tests) == 0 || ctx.Err() != nil {
			continue
		}
		errs = append(errs, s.phase(ctx, p.name, p.tests, p.procs, limit, results))
	}
	return results, errors.Join(errs...)
}

func (s Suite) phase(ctx context.Context, name string, tests []string, procs int, limit time.Duration, into map[string]Result) error {
	dir := filepath.Join(s.Out, name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "e2e.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	start := time.Now()
	s.Log.Info("running", "tests", len(tests), "processes", procs, "log", log.Name())
	cmd := s.Command(ctx, filepath.Join(s.Bin, "ginkgo"), s.arguments(dir, tests, min(procs, len(tests)), limit)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig, "CONFORMANCE_TEST_LIMIT="+s.Each.String())
	// An interrupt lets ginkgo clean up and write its reports; the binary of a lost one must not be left running.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	told := s.tell(log.Name(), len(tests))
	runErr := cmd.Run()
	told()
	if cmd.Process != nil { // whoever is left of the group
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	wanted := map[string]bool{}
	for _, t := range tests {
		wanted[t] = true
	}
	faults, err := read(dir, wanted, into)
	if err != nil {
		return err
	}
	ended := 0
	for _, t := range tests {
		if _, ok := into[t]; ok {
			ended++
		} else {
			into[t] = Result{ratchet.NotRun, 0, "the run ended before it"}
		}
	}
	s.Log.Info("ran", "tests", ended, "seconds", int(time.Since(start).Seconds()))
	if exit := (*exec.ExitError)(nil); runErr != nil && !errors.As(runErr, &exit) {
		return runErr
	}
	if len(faults) > 0 || ended < len(tests) {
		return fmt.Errorf("%d of %d tests ran (%s); see %s", ended, len(tests), strings.Join(faults, "; "), log.Name())
	}
	return nil
}

// arguments are those of ginkgo and, after the binary, of the suite. The tests are given as one anchored expression.
func (s Suite) arguments(dir string, tests []string, procs int, limit time.Duration) []string {
	quoted := make([]string, len(tests))
	for i, t := range tests {
		quoted[i] = regexp.QuoteMeta(t)
	}
	return []string{"run", "--no-color", "--procs=" + strconv.Itoa(procs), "--timeout=" + limit.String(), "--keep-going",
		"--output-interceptor-mode=none", "--focus=(" + strings.Join(quoted, "|") + ")$", filepath.Join(s.Bin, "e2e.test"), "--",
		"--provider=skeleton", "--kubeconfig=" + s.Kubeconfig, "--kubectl-path=" + s.Kubectl, "--report-dir=" + dir,
		"--num-nodes=" + strconv.Itoa(s.Nodes), "--delete-namespace=true", "--disable-log-dump", "--dump-logs-on-failure=false"}
}
