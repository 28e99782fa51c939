package shim_test

import (
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestSeccompListener: system calls that a profile leaves to an agent are given to it, with the container's state; once it
// has gone the kernel refuses them.
func TestSeccompListener(t *testing.T) {
	n := newNode(t)
	path := filepath.Join(n.dir, "agent.sock")
	agent, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	if err := agent.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	told := make(chan specs.ContainerProcessState, 1)
	go func() {
		defer close(told)
		c, err := agent.AcceptUnix()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		data, oob := make([]byte, 64<<10), make([]byte, 1<<10)
		size, extra, _, _, err := c.ReadMsgUnix(data, oob)
		if err != nil {
			t.Error(err)
			return
		}
		var state specs.ContainerProcessState
		if err := json.Unmarshal(data[:size], &state); err != nil {
			t.Errorf("%s: %v", data[:size], err)
		}
		for _, m := range must(unix.ParseSocketControlMessage(oob[:extra])) {
			for _, fd := range must(unix.ParseUnixRights(&m)) {
				_ = unix.Close(fd) // nobody listens from here on
			}
		}
		told <- state
	}()
	id := ""
	r := n.start(func(s *specs.Spec) {
		s.Process.NoNewPrivileges = true
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: path, ListenerMetadata: "for the agent",
			Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActNotify}}}
		id = filepath.Base(s.Linux.CgroupsPath)
	}, sh("mkdir /x 2>&1; exit 3")...)
	state, ok := <-told
	if !ok || state.Metadata != "for the agent" || state.State.ID != id || len(state.Fds) != 1 || state.Fds[0] != specs.SeccompFdName {
		t.Errorf("the agent was told %+v", state)
	}
	if st := n.wait(r.ID); st.ExitCode != 3 || !strings.Contains(logText(t, r.LogPath), "Function not implemented") {
		t.Errorf("%+v, %q", st, logText(t, r.LogPath))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
