package shim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPartialLines(t *testing.T) {
	n := newNode(t)
	const size = 16 << 10
	r := n.start(nil, sh(fmt.Sprintf(`head -c %d /dev/zero | tr '\0' x; echo; echo; head -c %d /dev/zero | tr '\0' y; echo; printf tail`, 2*size+5, size))...)
	n.wait(r.ID)
	var got []string
	for _, l := range logLines(t, r.LogPath) {
		c := "-"
		if l.text != "" {
			c = l.text[:1]
		}
		got = append(got, fmt.Sprintf("%s%s%d", l.tag, c, len(l.text)))
	}
	want := fmt.Sprintf("[Px%d Px%d Fx5 F-0 Fy%d Pt4]", size, size, size)
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestRotation(t *testing.T) {
	n := newNode(t)
	r := n.request(nil, sh(counting)...)
	r.LogMaxSize, r.LogMaxFiles = 400<<10, 1000
	var rotated []string
	kills := 0
	n.count(r, 30, func() string { return joinRotated(t, r.LogPath) }, func() {
		kill9(n.info().Pid)
		if kills++; kills < 30 {
			return
		}
		eventually(t, "three files are full", func() bool {
			n.info() // there is a shim again
			rotated, _ = filepath.Glob(r.LogPath + ".*")
			return len(rotated) >= 3
		})
	})
	for _, f := range rotated {
		if st, err := os.Stat(f); err != nil || st.Size() > 400<<10 {
			t.Errorf("%s: %d bytes, %v", f, st.Size(), err)
		}
	}
}

// joinRotated concatenates a log and its rotated files, oldest first.
func joinRotated(t *testing.T, path string) string {
	t.Helper()
	var all []byte
	for i := 1000; i >= 0; i-- {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		b, err := os.ReadFile(name)
		if err != nil && i == 0 {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	joined := path + "-joined"
	if err := os.WriteFile(joined, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return joined
}

func TestRotationKeepsFew(t *testing.T) {
	n := newNode(t)
	r := n.request(nil, sh("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")...)
	r.LogMaxSize, r.LogMaxFiles = 100<<10, 3
	n.startRequest(r)
	n.wait(r.ID)
	files, _ := filepath.Glob(r.LogPath + "*")
	if len(files) != 3 {
		t.Errorf("%v", files)
	}
}

func TestReopenLog(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(nil, sh(counting)...)
	i := 0
	join := func() string {
		var all strings.Builder
		files, _ := filepath.Glob(r.LogPath + ".*")
		for _, f := range append(files, r.LogPath) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(b)
		}
		joined := filepath.Join(n.dir, "joined")
		if err := os.WriteFile(joined, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return joined
	}
	n.count(r, 100, join, func() {
		if err := os.Rename(r.LogPath, fmt.Sprintf("%s.%06d", r.LogPath, i)); err != nil {
			t.Error(err)
		}
		if err := n.ReopenLog(ctx, r.ID); err != nil {
			t.Errorf("reopen: %v", err)
		}
		if i++; i%7 == 0 {
			kill9(n.info().Pid)
		}
	})
}
