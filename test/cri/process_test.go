package cri

import api "k8s.io/cri-api/pkg/apis/runtime/v1"

func number(v int64) *api.Int64Value { return &api.Int64Value{Value: v} }

func sec(c *api.ContainerConfig) *api.LinuxContainerSecurityContext {
	return c.Linux.SecurityContext
}

// process is what a process is given: words, environment, user.
var process = []check{
	{"the image's command", func(r *run) {
		c := r.shell("")
		c.Command = nil
		id := r.begin(c)
		r.until("it runs", func() bool { return r.exec(id, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline") == "sleep 1000 " })
	}, ""},
	{"arguments instead of the image's", func(r *run) {
		c := r.shell("")
		c.Command, c.Args = nil, []string{"echo", "one", "two"}
		id := r.begin(c)
		r.ended(id)
		r.until("the log is there", func() bool { return r.log(id) != "" })
		r.say("%s", r.log(id))
	}, "one two\n"},
	{"arguments after the command", func(r *run) {
		r.sh("echo $0 $1", func(c *api.ContainerConfig) { c.Args = []string{"one", "two words"} })
	}, "one two words\n"},
	{"environment", func(r *run) {
		r.sh("echo $FROM; echo \"$EMPTY.\"; echo $NEW; echo $PATH", func(c *api.ContainerConfig) {
			c.Envs = []*api.KeyValue{{Key: "FROM", Value: []byte("container")}, {Key: "EMPTY"}, {Key: "NEW", Value: []byte("a=b c")}}
		})
	}, "container\n.\na=b c\n/bin\n"},
	{"a working directory that is made", func(r *run) {
		r.sh("pwd", func(c *api.ContainerConfig) { c.WorkingDir = "/made/for/me" })
	}, "/made/for/me\n"},
	{"root", func(r *run) { r.sh("id", nil) }, "uid=0(root) gid=0(root) groups=0(root),2002(roots)\n"},
	{"a user by number", func(r *run) {
		r.sh("id; echo $HOME", func(c *api.ContainerConfig) { sec(c).RunAsUser = number(1000) })
	}, "uid=1000(web) gid=1000(web) groups=1000(web),2000(extra),2001(more)\n/home\n"},
	{"a user by name", func(r *run) {
		r.sh("id", func(c *api.ContainerConfig) { sec(c).RunAsUsername = "web" })
	}, "uid=1000(web) gid=1000(web) groups=1000(web),2000(extra),2001(more)\n"},
	{"a user that the image does not know", func(r *run) {
		r.sh("id; echo $HOME", func(c *api.ContainerConfig) { sec(c).RunAsUser = number(4242) })
	}, "uid=4242 gid=0(root) groups=0(root)\n/\n"},
	{"the image's user", func(r *run) {
		r.sh("id -u; id -g", func(c *api.ContainerConfig) { c.Image.Image = userless })
	}, "1000\n1000\n"},
	{"the image's user and group", func(r *run) {
		r.sh("id", func(c *api.ContainerConfig) { c.Image.Image = numbered })
	}, "uid=1000(web) gid=2000(extra) groups=2000(extra),2001(more)\n"},
	{"a user instead of the image's", func(r *run) {
		r.sh("id -u; id -g", func(c *api.ContainerConfig) { c.Image.Image = numbered; sec(c).RunAsUser = number(0) })
	}, "0\n0\n"},
	{"groups, merged", func(r *run) {
		r.sh("id -G | tr ' ' '\\n' | sort | tr '\\n' ' '", func(c *api.ContainerConfig) {
			sec(c).RunAsUser, sec(c).RunAsGroup, sec(c).SupplementalGroups = number(1000), number(3000), []int64{4000, 2000}
		})
	}, "2000 2001 3000 4000 \n"},
	{"groups, strict", func(r *run) {
		c := r.shell("id -G | tr ' ' '\\n' | sort | tr '\\n' ' '; echo; exec sleep 1000")
		sec(c).RunAsUser, sec(c).RunAsGroup, sec(c).SupplementalGroups = number(1000), number(3000), []int64{4000}
		sec(c).SupplementalGroupsPolicy = api.SupplementalGroupsPolicy_Strict
		id := r.begin(c)
		r.until("it speaks", func() bool { return r.log(id) != "" })
		r.say("%s", r.log(id))
		r.say("exec: %s", r.exec(id, "id", "-G"))
		u := r.status(id).GetUser().GetLinux()
		r.say("status: %d %d %v", u.GetUid(), u.GetGid(), u.GetSupplementalGroups())
	}, "3000 4000 \nexec: 3000 4000\nstatus: 1000 3000 [3000 4000]\n"},
	{"a terminal", func(r *run) {
		r.sh("stty -onlcr; test -t 0 && test -t 1 && test -t 2 && echo $TERM", func(c *api.ContainerConfig) { c.Tty = true })
	}, "xterm\n"},
	{"out-of-memory score", func(r *run) {
		r.sh("cat /proc/self/oom_score_adj", func(c *api.ContainerConfig) { c.Linux.Resources.OomScoreAdj = 500 })
	}, "500\n"},
	{"standard input is empty", func(r *run) { r.sh("cat; echo end", nil) }, "end\n"},
	{"limits of the process", func(r *run) {
		r.sh("test $(ulimit -n) -ge 1024 && echo files; umask", nil)
	}, "files\n0022\n"},
	{"open files", func(r *run) {
		r.sh("ls /proc/self/fd | tr '\\n' ' '", nil)
	}, "0 1 2 3 \n"},
}
