package script

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// disk mount SIZE gives the story's cluster a small disk of its own; disk fill MIB leaves so much of it; disk free makes
// room again. disk loop SIZE is a disk that can fail: disk fail makes it read-only, as file systems do with themselves on an
// error, and disk mend checks it and mounts it again.
func disk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: disk mount SIZE | fill MIB | free | loop SIZE | fail | mend")
	}
	data := ts.Getenv("DATA")
	ballast := filepath.Join(data, "ballast")
	switch {
	case args[0] == "mount" && len(args) == 2:
		ts.Check(os.MkdirAll(data, 0o755))
		ts.Check(unix.Mount("minato-disk", data, "tmpfs", 0, "size="+args[1]))
		ts.Defer(func() { leaveDisk(ts, data) })
	case args[0] == "loop" && len(args) == 2:
		ts.Check(os.MkdirAll(data, 0o755))
		ts.Check(ts.Exec("truncate", "-s", args[1], ts.MkAbs("disk.img")))
		ts.Check(ts.Exec("mkfs.ext4", "-q", "-F", ts.MkAbs("disk.img")))
		ts.Check(ts.Exec("mount", "-o", "loop", ts.MkAbs("disk.img"), data))
		ts.Defer(func() { leaveDisk(ts, data) })
	case args[0] == "fail":
		ts.Check(ts.Exec("mount", "-o", "remount,abort", data))
	case args[0] == "mend":
		ts.Check(unix.Unmount(data, 0))
		released(ts, ts.MkAbs("disk.img"))
		_ = ts.Exec("e2fsck", "-p", ts.MkAbs("disk.img")) // 1 means that it mended something
		ts.Check(ts.Exec("e2fsck", "-p", ts.MkAbs("disk.img")))
		ts.Check(ts.Exec("mount", "-o", "loop", ts.MkAbs("disk.img"), data))
	case args[0] == "fill" && len(args) == 2:
		left, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		var st unix.Statfs_t
		ts.Check(unix.Statfs(data, &st))
		f, err := os.Create(ballast)
		ts.Check(err)
		ts.Check(unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-left<<20))
		ts.Check(f.Close())
	case args[0] == "free":
		ts.Check(os.Remove(ballast))
	default:
		ts.Fatalf("disk %v: unknown", args)
	}
}

// released waits until the file system on image is gone. An unmount does not say so: mount namespaces that others make just
// then, of containers that start, have copies of all mounts for a moment, and whoever checks the disk meanwhile checks one
// that is written to when the last copy goes.
func released(ts *testscript.TestScript, image string) {
	for end, pause := time.Now().Add(60*time.Second), 10*time.Millisecond; ; pause = min(2*pause, time.Second) {
		out, err := exec.Command("losetup", "-n", "-O", "NAME", "-j", image).Output()
		ts.Check(err)
		if len(bytes.TrimSpace(out)) == 0 {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the disk is unmounted, and still used by %s", out)
		}
		ts.Logf("the disk is unmounted, and still used by %s", out)
		<-time.After(pause)
	}
}

// leaveDisk takes the cluster off the disk, or its mounts would hold that, and then the disk.
func leaveDisk(ts *testscript.TestScript, data string) {
	if out, err := exec.Command(filepath.Join(ts.Getenv("BIN"), "minato"), "down", "--data-dir", data).CombinedOutput(); err != nil {
		ts.Logf("down: %v %s", err, out)
	}
	if err := unix.Unmount(data, unix.MNT_DETACH); err != nil {
		ts.Logf("unmount the small disk: %v", err)
	}
}
