package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"minato.dev/minato/internal/cluster"
)

// keep copies a file to where MINATO_AUTOPSY says.
func keep(ts *testscript.TestScript, file string) {
	if dir := os.Getenv("MINATO_AUTOPSY"); dir != "" {
		ts.Check(os.MkdirAll(dir, 0o755))
		ts.Check(exec.Command("cp", file, dir).Run())
	}
}

// autopsy keeps, where MINATO_AUTOPSY names a directory, what a failed story's cluster leaves: its logs, those of the
// shim, the stacks of its goroutines, its ledgers and the machine's processes.
func autopsy(e *testscript.Env, data string) {
	dir := os.Getenv("MINATO_AUTOPSY")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		e.T().Log("autopsy: ", err)
		return
	}
	if pid, err := cluster.Running(data); err == nil && pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGQUIT) // its stacks go to its log
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
			if pid, err := cluster.Running(data); err == nil && pid == 0 {
				break
			}
		}
	}
	files := []string{filepath.Join(data, "log", "minato.log"), filepath.Join(data, "runtime", "ledger"), filepath.Join(data, "network")}
	if id, err := cluster.ReadIdentity(data); err == nil {
		files = append(files, filepath.Join("/run/minato", id.ID, "shim"))
	}
	for _, from := range files {
		if out, err := exec.Command("cp", "-r", from, dir).CombinedOutput(); err != nil {
			e.T().Log("autopsy: ", from, ": ", err, " ", string(out))
		}
	}
	out, err := exec.Command("ps", "-eo", "pid,ppid,stat,wchan:20,lstart,cgroup:60,args").CombinedOutput()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ps"), out, 0o644)
	}
	if err != nil {
		e.T().Log("autopsy: ps: ", err)
	}
	e.T().Log("autopsy: see ", dir)
}
