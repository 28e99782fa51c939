package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// disk mount SIZE gives the story's cluster a small disk of its own; disk fill MIB leaves so much of it; disk free makes
// room again.
func disk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: disk mount SIZE | fill MIB | free")
	}
	data := ts.Getenv("DATA")
	ballast := filepath.Join(data, "ballast")
	switch {
	case args[0] == "mount" && len(args) == 2:
		ts.Check(os.MkdirAll(data, 0o755))
		ts.Check(unix.Mount("minato-disk", data, "tmpfs", 0, "size="+args[1]))
		ts.Defer(func() {
			// The cluster goes first, or its mounts would hold the disk.
			if out, err := exec.Command(filepath.Join(ts.Getenv("BIN"), "minato"), "down", "--data-dir", data).CombinedOutput(); err != nil {
				ts.Logf("down: %v %s", err, out)
			}
			if err := unix.Unmount(data, unix.MNT_DETACH); err != nil {
				ts.Logf("unmount the small disk: %v", err)
			}
		})
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
