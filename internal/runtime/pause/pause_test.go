package pause

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program stays alive, reaps a foreign child and needs SIGKILL as init of a pid namespace.
func TestInitReapsAndStays(t *testing.T) {
	dir := t.TempDir()
	prog := filepath.Join(dir, "pause")
	if err := os.WriteFile(prog, Program(), 0o755); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// The shell leaves an orphan behind and becomes the program by exec, so that the orphan's parent is the program. The
	// orphan lives until it has been seen and is told to go.
	cmd := exec.Command("/bin/sh", "-c", `read x <`+fifo+` & exec `+prog)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	children := func() string {
		data, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/" + strconv.Itoa(cmd.Process.Pid) + "/children")
		return strings.TrimSpace(string(data))
	}
	within(t, "the orphan is seen", func() bool { return children() != "" })
	within(t, "the program has said that it does not want to hear of children", func() bool {
		status, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/status")
		_, ignored, _ := strings.Cut(string(status), "SigIgn:")
		word, _, _ := strings.Cut(strings.TrimSpace(ignored), "\n")
		mask, err := strconv.ParseUint(word, 16, 64)
		return err == nil && mask&(1<<(syscall.SIGCHLD-1)) != 0
	})
	release, err := os.OpenFile(fifo, os.O_RDWR, 0) // which waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	defer release.Close()
	if _, err := release.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	within(t, "the orphan is reaped", func() bool { return children() == "" })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/comm")
	if err != nil || strings.TrimSpace(string(comm)) != "pause" {
		t.Errorf("process is %q, %v", comm, err)
	}
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}
