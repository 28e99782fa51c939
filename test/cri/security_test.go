package cri

import (
	"os"
	"path/filepath"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// profile writes a seccomp profile that lets everything through but one call.
func (r *run) profile(call string) string {
	path := filepath.Join(r.dir, call+".json")
	text := `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["` + call + `"],"action":"SCMP_ACT_ERRNO"}]}`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.must("profile", err)
	}
	return path
}

func caps(c *api.Capability) func(*api.ContainerConfig) {
	return func(cc *api.ContainerConfig) { sec(cc).Capabilities = c }
}

func privileged(c *api.ContainerConfig) { sec(c).Privileged = true }

// privilegedPod is one that says beforehand that it will have such containers.
func privilegedPod(c *api.PodSandboxConfig) { c.Linux.SecurityContext.Privileged = true }

const (
	effective = "grep CapEff /proc/self/status | cut -f2"
	filtered  = "grep Seccomp: /proc/self/status | cut -f2"
)

var security = []check{
	{"capabilities", func(r *run) {
		r.sh("grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2", nil)
	}, "0000000000000000\n00000000a80425fb\n00000000a80425fb\n00000000a80425fb\n0000000000000000\n"},
	{"capabilities of a user", func(r *run) {
		r.sh("grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f2", func(c *api.ContainerConfig) { sec(c).RunAsUser = number(1000) })
	}, "0000000000000000\n0000000000000000\n00000000a80425fb\n"},
	{"a capability more", func(r *run) { r.sh(effective, caps(&api.Capability{AddCapabilities: []string{"NET_ADMIN"}})) }, "00000000a80435fb\n"},
	{"a capability less", func(r *run) { r.sh(effective, caps(&api.Capability{DropCapabilities: []string{"CHOWN"}})) }, "00000000a80425fa\n"},
	{"no capabilities", func(r *run) { r.sh(effective, caps(&api.Capability{DropCapabilities: []string{"ALL"}})) }, "0000000000000000\n"},
	{"one capability", func(r *run) {
		r.sh(effective, caps(&api.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_ADMIN"}}))
	}, "0000000000001000\n"},
	{"all but one", func(r *run) {
		r.sh("a=$("+effective+"); test $((0x$a & 1)) = 0 && test $((0x$a & 2)) = 2 && test $((0x$a >> 21 & 1)) = 1 && echo all but one",
			caps(&api.Capability{AddCapabilities: []string{"ALL"}, DropCapabilities: []string{"CHOWN"}}))
	}, "all but one\n"},
	{"capabilities of an exec", func(r *run) {
		c := r.shell("exec sleep 1000")
		caps(&api.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_ADMIN"}})(c)
		id := r.begin(c)
		r.say("%s", r.exec(id, "sh", "-c", effective+"; "+filtered))
	}, "0000000000001000\n2\n"},
	{"privileged", func(r *run) {
		pod, pc := r.pod(privilegedPod)
		r.shIn(pod, pc, filtered+"; mount -t tmpfs x /tmp && echo mounts; test -e /dev/kmsg && echo devices; touch /proc/sys/kernel/panic && echo writes; a=$("+effective+"); test $((0x$a >> 21 & 1)) = 1 && echo can; wc -l </proc/timer_list | grep -q ^0 || echo sees", privileged)
	}, "0\nmounts\ndevices\nwrites\ncan\nsees\n"},
	{"an exec in a privileged one", func(r *run) {
		c := r.shell("exec sleep 1000")
		privileged(c)
		pod, pc := r.pod(privilegedPod)
		id := r.create(pod, pc, c)
		r.start(id)
		r.say("%s", r.exec(id, "sh", "-c", filtered+"; mount -t tmpfs x /tmp && echo mounts"))
	}, "0\nmounts\n"},
	{"privileged in a pod that did not say so", func(r *run) { r.sh(filtered, privileged) }, "0\n"},
	{"the default filter", func(r *run) { r.sh(filtered+"; unshare -U true 2>/dev/null || echo refused", nil) }, "2\nrefused\n"},
	{"no filter", func(r *run) {
		r.sh(filtered, func(c *api.ContainerConfig) { sec(c).Seccomp.ProfileType = api.SecurityProfile_Unconfined })
	}, "0\n"},
	{"no word about a filter", func(r *run) {
		r.sh(filtered, func(c *api.ContainerConfig) { sec(c).Seccomp = nil })
	}, "0\n"},
	{"a filter of the node", func(r *run) {
		p := r.profile("mkdir")
		r.sh(filtered+"; mkdir /x 2>/dev/null || echo refused; touch /y && echo touched", func(c *api.ContainerConfig) {
			sec(c).Seccomp = &api.SecurityProfile{ProfileType: api.SecurityProfile_Localhost, LocalhostRef: p}
		})
	}, "2\nrefused\ntouched\n"},
	{"a filter that is not there", func(r *run) {
		r.sh("true", func(c *api.ContainerConfig) {
			sec(c).Seccomp = &api.SecurityProfile{ProfileType: api.SecurityProfile_Localhost, LocalhostRef: "/no/such/profile.json"}
		})
	}, "create: refused\n"},
	{"AppArmor that is not there", func(r *run) {
		if _, err := os.Stat("/sys/module/apparmor/parameters/enabled"); err == nil {
			r.say("create: refused") // this machine has it: another question
			return
		}
		r.sh("true", func(c *api.ContainerConfig) {
			sec(c).Apparmor = &api.SecurityProfile{ProfileType: api.SecurityProfile_Localhost, LocalhostRef: "tight"}
		})
	}, "create: refused\n"},
	{"new privileges", func(r *run) { r.sh("grep NoNewPrivs /proc/self/status | cut -f2", nil) }, "0\n"},
	{"no new privileges", func(r *run) {
		r.sh("grep NoNewPrivs /proc/self/status | cut -f2", func(c *api.ContainerConfig) { sec(c).RunAsUser, sec(c).NoNewPrivs = number(1000), true })
	}, "1\n"},
	{"a writable root", func(r *run) { r.sh("touch /x && echo yes", nil) }, "yes\n"},
	{"a read-only root", func(r *run) {
		r.sh("touch /x 2>/dev/null || echo no; touch /dev/shm/x && echo shm; touch /dev/x && echo dev; touch /etc/hosts 2>/dev/null || echo hosts", func(c *api.ContainerConfig) { sec(c).ReadonlyRootfs = true })
	}, "no\nshm\ndev\nhosts\n"},
	{"masked paths", func(r *run) {
		r.sh("wc -c </proc/keys; ls /sys/firmware | wc -l; cat /proc/timer_list | wc -c", func(c *api.ContainerConfig) {
			sec(c).MaskedPaths = append(sec(c).MaskedPaths, "/sys/firmware", "/no/such/path")
		})
	}, "0\n0\n0\n"},
	{"read-only paths", func(r *run) {
		r.sh("echo 1 2>/dev/null >/proc/sys/kernel/panic || echo no; echo h 2>/dev/null >/proc/sysrq-trigger || echo no", func(c *api.ContainerConfig) {
			sec(c).ReadonlyPaths = append(sec(c).ReadonlyPaths, "/no/such/path")
		})
	}, "no\nno\n"},
	{"proc without a mask", func(r *run) {
		r.sh("cat /proc/timer_list | wc -c | grep -q '^0$' || echo sees; touch /proc/sys/kernel/domainname && echo writes", func(c *api.ContainerConfig) {
			sec(c).MaskedPaths, sec(c).ReadonlyPaths = nil, nil
		})
	}, "sees\nwrites\n"},
	{"sys is read-only", func(r *run) {
		r.sh("mkdir /sys/fs/cgroup/memory/x /sys/fs/cgroup/unified/x 2>/dev/null || echo no; touch /sys/kernel/x 2>/dev/null || echo no", nil)
	}, "no\nno\n"},
}
