package cri

import (
	"os"
	"regexp"
	"strings"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var logLine = regexp.MustCompile(`^(\S+) (stdout|stderr) (F|P) (.*)$`)

// raw writes the lines of a log with their times checked and taken away.
func (r *run) raw(id string) {
	data, err := os.ReadFile(r.status(id).LogPath)
	r.must("log", err)
	for line := range strings.Lines(string(data)) {
		m := logLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			r.say("not a line: %q", line)
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, m[1]); err != nil || time.Since(at) > time.Hour {
			r.say("not a time: %q", m[1])
		}
		if len(m[4]) > 100 {
			m[4] = strings.Repeat("x", 3) + "..."
		}
		r.say("%s %s %s", m[2], m[3], m[4])
	}
}

var logs = []check{
	{"both streams", func(r *run) {
		id := r.begin(r.shell("echo one; exec 1>&-; echo two >&2"))
		r.ended(id)
		r.until("both lines", func() bool { return strings.Count(r.log(id), "\n") == 2 })
		r.raw(id)
	}, "stdout F one\nstderr F two\n"},
	{"a line without an end", func(r *run) {
		id := r.begin(r.shell("echo whole; printf half"))
		r.ended(id)
		r.until("both lines", func() bool { return strings.Contains(r.log(id), "half") })
		r.raw(id)
	}, "stdout F whole\nstdout P half\n"},
	{"a long line", func(r *run) {
		id := r.begin(r.shell("head -c 40000 /dev/zero | tr '\\0' x; echo; echo end"))
		r.ended(id)
		r.until("the end", func() bool { return strings.HasSuffix(r.log(id), "end\n") })
		r.say("%d bytes", len(r.log(id)))
		r.raw(id)
	}, "40005 bytes\nstdout P xxx...\nstdout P xxx...\nstdout F xxx...\nstdout F end\n"},
	{"empty lines", func(r *run) {
		id := r.begin(r.shell("echo; echo a; echo"))
		r.ended(id)
		r.until("three lines", func() bool { return strings.Count(r.log(id), "\n") == 3 })
		r.raw(id)
	}, "stdout F \nstdout F a\nstdout F \n"},
	{"a terminal", func(r *run) {
		c := r.shell("echo out; echo err >&2")
		c.Tty = true
		id := r.begin(c)
		r.ended(id)
		r.until("both lines", func() bool { return strings.Count(r.log(id), "\n") == 2 })
		r.say("%q", r.log(id))
	}, "\"out\\r\\nerr\\r\\n\"\n"},
	{"no log", func(r *run) {
		c := r.shell("echo lost")
		c.LogPath = ""
		st := r.ended(r.begin(c))
		r.say("%q exit %d", st.LogPath, st.ExitCode)
	}, "\"\" exit 0\n"},
	{"reopened", func(r *run) {
		id := r.begin(r.shell("echo before; until test -e /go; do sleep 0.02; done; echo after"))
		r.until("the first line", func() bool { return r.log(id) == "before\n" })
		path := r.status(id).LogPath
		r.must("rename", os.Rename(path, path+".1"))
		_, err := r.ReopenContainerLog(r.ctx, &api.ReopenContainerLogRequest{ContainerId: id})
		r.code("reopen", err)
		_, err = os.Stat(path)
		r.refused("made", err)
		r.exec(id, "touch", "/go")
		r.ended(id)
		r.until("the last line", func() bool { return strings.Contains(r.log(id), "after") })
		r.raw(id)
		_, err = r.ReopenContainerLog(r.ctx, &api.ReopenContainerLogRequest{ContainerId: id})
		r.refused("after the end", err)
	}, "reopen: OK\nmade: done\nstdout F after\nafter the end: refused\n"},
}
