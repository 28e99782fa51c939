package shim

import (
	"os"
	"syscall"
	"time"

	"minato.dev/minato/internal/shim/wire"
)

// Status is where a container stands; see the package comment.
type Status string

// The states of a container.
const (
	Created Status = "created"
	Running Status = "running"
	Exited  Status = "exited"
)

// A CreateRequest describes one container. The process, its terminal, namespaces, cgroup and seccomp profile come from
// the OCI config.json in Bundle; the request adds what OCI has no words for.
type CreateRequest struct {
	// ID names the container in every later call; 1 to 128 characters of [a-zA-Z0-9_.-], starting alphanumeric.
	ID string `json:"id"`
	// Bundle is the absolute directory that holds config.json. root.path must be absolute or relative to Bundle and
	// already mounted. linux.cgroupsPath is the cgroup below every hierarchy's root (cgroupfs style, "/a/b").
	Bundle string `json:"bundle"`
	// LogPath is the absolute CRI log file; its directory must exist. Empty discards the output.
	LogPath string `json:"logPath,omitempty"`
	// LogMaxSize rotates the log (to LogPath.1, .2 ...) before a write that would pass this many bytes; one read of at
	// most 64 KiB of output is never split, so a file may pass the limit by that. 0 leaves rotation to ReopenLog's caller.
	LogMaxSize int64 `json:"logMaxSize,omitempty"`
	// LogMaxFiles bounds the log and its rotated files together; below 2 means 2. Ignored without LogMaxSize.
	LogMaxFiles int `json:"logMaxFiles,omitempty"`
	// Stdin keeps the container's stdin open for Attach; without it stdin is /dev/null. A terminal has it anyway.
	Stdin bool `json:"stdin,omitempty"`
	// StdinOnce closes stdin when the first attachment that carries stdin ends.
	StdinOnce bool `json:"stdinOnce,omitempty"`
	// KeepEarly keeps the first output (up to 64 KiB a stream) for the first attachment, so that one who attaches after the
	// start misses nothing. Where it was more, the first attachment is refused with ErrMissed; the log has it. A restart of
	// the shim forgets it.
	KeepEarly bool `json:"keepEarly,omitempty"`
	// Run starts the process too; set by Client.Run.
	Run bool `json:"run,omitempty"`
	// Runtime is the absolute path of another OCI runtime (crun, runc) that makes the container and enters it; empty for
	// our own. Streams, log, signals, limits and the end of the container are ours all the same, and its cgroup is removed
	// by us even where that program has gone.
	Runtime string `json:"runtime,omitempty"`
}

// A ContainerState is what the shim knows about one container.
type ContainerState struct {
	ID     string `json:"id"`
	Bundle string `json:"bundle"`
	// Pid of the container's init in the host's pid namespace; 0 once it has exited.
	Pid    int    `json:"pid,omitempty"`
	Status Status `json:"status"`
	// ExitCode is 0 to 255, 128+n where signal n ended init, and 255 with Reason where the status could not be learnt.
	ExitCode int `json:"exitCode,omitempty"`
	// Signal that ended init, 0 if none did.
	Signal syscall.Signal `json:"signal,omitempty"`
	// OOMKilled is true when the kernel killed a process of the container for memory before it exited.
	OOMKilled bool `json:"oomKilled,omitempty"`
	// Reason explains an exit that is not simply init's own, e.g. "exit status lost: ..."; mostly empty.
	Reason     string    `json:"reason,omitempty"`
	LogPath    string    `json:"logPath,omitempty"`
	CgroupPath string    `json:"cgroupPath,omitempty"`
	Terminal   bool      `json:"terminal,omitempty"`
	CreatedAt  time.Time `json:"createdAt,omitzero"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	// LogDropped counts output bytes that could not be written (full disk); 0 on a healthy node.
	LogDropped uint64 `json:"logDropped,omitempty"`
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	EventCreated EventKind = "created"
	EventStarted EventKind = "started"
	EventExited  EventKind = "exited"
	EventOOM     EventKind = "oom" // a process of the container was killed for memory; the container may live on
	EventDeleted EventKind = "deleted"
	// EventSync is sent once when a stream is established: everything up to Seq has been delivered or is in List.
	EventSync EventKind = "sync"
)

// An Event is one change. Seq grows strictly over the life of the node, across restarts and upgrades of the shim.
type Event struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`
	ID   string    `json:"id,omitempty"`
	// Container is the state after the event (nil for sync).
	Container *ContainerState `json:"container,omitempty"`
}

// User is the identity of an exec'd process. Nil in ExecRequest means the container's own user.
type User struct {
	UID            uint32   `json:"uid"`
	GID            uint32   `json:"gid"`
	AdditionalGids []uint32 `json:"additionalGids,omitempty"`
}

// An ExecRequest describes a process to run inside a running container. Capabilities, seccomp, rlimits, AppArmor label,
// no_new_privs and oom score are those of the container's own process.
type ExecRequest struct {
	// ExecID names the session; empty lets the client choose. Repeating a live ExecID joins that session.
	ExecID string   `json:"execID,omitempty"`
	Args   []string `json:"args"`
	// Env replaces the container's environment when not nil.
	Env []string `json:"env,omitempty"`
	// Cwd replaces the container's working directory when not empty.
	Cwd  string `json:"cwd,omitempty"`
	User *User  `json:"user,omitempty"`
	// TTY gives the process a terminal: pass an empty Stdio and use Exec.Console.
	TTY    bool   `json:"tty,omitempty"`
	Width  uint16 `json:"width,omitempty"`
	Height uint16 `json:"height,omitempty"`
}

// Stdio are the caller's ends of a session's streams (pipes, files, sockets). A nil one is /dev/null. The call passes
// duplicates: the caller keeps its files and closes them when it likes. The process writes to them directly, so they
// see EOF when it (and its children) have closed theirs, whatever becomes of the shim.
type Stdio struct {
	In, Out, Err *os.File
}

// An ExecResult is the end of an exec session.
type ExecResult struct {
	ExitCode   int            `json:"exitCode"`
	Signal     syscall.Signal `json:"signal,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	FinishedAt time.Time      `json:"finishedAt,omitzero"`
}

// Info describes the running shim.
type Info struct {
	Version   string    `json:"version"`
	Pid       int       `json:"pid"`
	KeeperPid int       `json:"keeperPid"`
	Binary    string    `json:"binary"`
	StartedAt time.Time `json:"startedAt"`
	// Restarts counts how often the keeper started the shim again; Upgrades how often it replaced itself.
	Restarts   int    `json:"restarts"`
	Upgrades   int    `json:"upgrades"`
	Containers int    `json:"containers"`
	Seq        uint64 `json:"seq"`
}

// SocketName is the shim's socket in its run directory.
const SocketName = "shim.sock"

// A List is the answer to Client.List on the wire.
type List struct {
	Seq        uint64           `json:"seq"`
	Containers []ContainerState `json:"containers"`
}

// An ExecCall is an ExecRequest on the wire, with the streams whose descriptors come beside it.
type ExecCall struct {
	ExecRequest
	Streams wire.Streams `json:"streams"`
	// Stay asks for a second answer on the same connection, the ExecResult, with which the session is forgotten.
	Stay bool `json:"stay,omitempty"`
}
