package cri

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// cdiDir is where all runtimes look for what vendors say of their devices; see TestMain.
const cdiDir = "/run/cdi"

// plainJSON is for what can always be encoded.
func plainJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// kmsg makes a node of the kernel's log, which nobody has by default.
func (r *run) kmsg() string {
	dir, err := os.MkdirTemp(r.dir, "dev")
	r.must("device", err)
	path := filepath.Join(dir, "log")
	r.must("device", unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 11))))
	r.must("device", os.Chmod(path, 0o666))
	return path
}

func device(host, inside, permissions string) func(*api.ContainerConfig) {
	return func(c *api.ContainerConfig) {
		c.Devices = []*api.Device{{HostPath: host, ContainerPath: inside, Permissions: permissions}}
		sec(c).Capabilities = &api.Capability{AddCapabilities: []string{"SYSLOG"}} // the kernel wants it of who reads its log
	}
}

const opens = "true 2>/dev/null </dev/x && echo read || echo no; true 2>/dev/null >/dev/x && echo write || echo no"

var devices = []check{
	{"what everyone has", func(r *run) {
		r.sh("ls /dev | tr '\\n' ' '; echo x >/dev/null && head -c 2 /dev/zero | wc -c; ls -l /dev/ptmx | sed 's/.* //'", nil)
	}, "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero 2\npts/ptmx\n"},
	{"none of the node's", func(r *run) {
		r.sh("mknod /dev/x c 1 11 && "+opens+"; mknod /dev/y b 8 0 && (head -c 1 /dev/y 2>/dev/null || echo no)", nil)
	}, "no\nno\nno\n"},
	{"to read and write", func(r *run) { r.sh(opens, device(r.kmsg(), "/dev/x", "rw")) }, "read\nwrite\n"},
	{"to read", func(r *run) { r.sh(opens, device(r.kmsg(), "/dev/x", "r")) }, "read\nno\n"},
	{"to write", func(r *run) { r.sh(opens, device(r.kmsg(), "/dev/x", "w")) }, "no\nwrite\n"},
	{"in a new directory", func(r *run) {
		r.sh("stat -c '%F %t %T' /dev/deep/er/x", device(r.kmsg(), "/dev/deep/er/x", "rwm"))
	}, "character special file 1 b\n"},
	{"a directory of devices", func(r *run) {
		r.sh("stat -c %F /dev/logs/log", device(filepath.Dir(r.kmsg()), "/dev/logs", "rw"))
	}, "character special file\n"},
	{"not a device", func(r *run) {
		dir := r.volume()
		r.sh("true", device(filepath.Join(dir, "file"), "/dev/x", "rw"))
		r.sh("true", device(filepath.Join(dir, "nowhere"), "/dev/x", "rw"))
	}, "create: refused\ncreate: refused\n"},
	{"a user's, who has no capability", func(r *run) {
		r.sh(opens, func(c *api.ContainerConfig) {
			device(r.kmsg(), "/dev/x", "rw")(c)
			sec(c).RunAsUser = number(1000)
		})
	}, "no\nwrite\n"},
	{"all of them", func(r *run) {
		pod, pc := r.pod(privilegedPod)
		r.shIn(pod, pc, "mknod /dev/x c 1 11 && "+opens, privileged)
	}, "read\nwrite\n"},
	{"a CDI device", func(r *run) {
		vendor := fmt.Sprintf("vendor.example/thing-%s", r.name)
		log, dir := r.kmsg(), r.volume()
		text := plainJSON(map[string]any{"cdiVersion": "0.6.0", "kind": vendor, "containerEdits": map[string]any{"env": []string{"EVERY=one"}},
			"devices": []any{map[string]any{"name": "log", "containerEdits": map[string]any{"env": []string{"THING=log"},
				"deviceNodes": []any{map[string]any{"path": "/dev/thing", "hostPath": log, "permissions": "w"}},
				"mounts":      []any{map[string]any{"hostPath": dir, "containerPath": "/opt/thing", "options": []string{"ro", "bind"}}}}}}})
		r.must("specification", os.WriteFile(filepath.Join(cdiDir, r.name+".json"), text, 0o644))
		named := vendor + "=log"
		look := "echo $EVERY $THING; stat -c '%F %t %T' /dev/thing; true 2>/dev/null >/dev/thing && echo write; cat /opt/thing/file; touch /opt/thing/x 2>/dev/null || echo no"
		r.sh(look, func(c *api.ContainerConfig) { c.CDIDevices = []*api.CDIDevice{{Name: named}} })
		r.sh("echo $THING", func(c *api.ContainerConfig) { c.Annotations["cdi.k8s.io/plugin"] = named })
		r.sh("true", func(c *api.ContainerConfig) { c.CDIDevices = []*api.CDIDevice{{Name: vendor + "=other"}} })
	}, "one log\ncharacter special file 1 b\nwrite\nof the node\nno\nlog\ncreate: refused\n"},
	{"hooks of a CDI device after start and end", func(r *run) {
		vendor, mark := fmt.Sprintf("vendor.example/late-%s", r.name), filepath.Join(r.dir, "late")
		hook := func(name string) map[string]any {
			return map[string]any{"hookName": name, "path": "/bin/busybox", "args": []string{"sh", "-c", "cat >" + mark + "-" + name}}
		}
		text := plainJSON(map[string]any{"cdiVersion": "0.6.0", "kind": vendor, "devices": []any{map[string]any{"name": "x", "containerEdits": map[string]any{
			"hooks": []any{hook("poststart"), hook("poststop")}}}}})
		r.must("specification", os.WriteFile(filepath.Join(cdiDir, r.name+"-late.json"), text, 0o644))
		pod, pc := r.pod(nil)
		c := r.shell("exec sleep 1000")
		c.CDIDevices = []*api.CDIDevice{{Name: vendor + "=x"}}
		made, err := r.CreateContainer(r.ctx, &api.CreateContainerRequest{PodSandboxId: pod, Config: c, SandboxConfig: pc})
		r.must("create", err)
		id := made.ContainerId
		_, err = r.StartContainer(r.ctx, &api.StartContainerRequest{ContainerId: id})
		r.must("start", err)
		state, err := os.ReadFile(mark + "-poststart")
		r.must("after the start", err)
		r.say("after the start the hook was told the container: %t", strings.Contains(string(state), id))
		_, err = r.StopContainer(r.ctx, &api.StopContainerRequest{ContainerId: id})
		r.must("stop", err)
		_, err = r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: id})
		r.must("remove", err)
		state, err = os.ReadFile(mark + "-poststop")
		r.must("after the end", err)
		r.say("after the end too: %t", strings.Contains(string(state), id))
	}, "after the start the hook was told the container: true\nafter the end too: true\n"},
	{"the hook of a CDI device", func(r *run) {
		vendor, mark := fmt.Sprintf("vendor.example/hook-%s", r.name), filepath.Join(r.dir, "hooked")
		text := plainJSON(map[string]any{"cdiVersion": "0.6.0", "kind": vendor, "devices": []any{map[string]any{"name": "x", "containerEdits": map[string]any{
			"hooks": []any{map[string]any{"hookName": "createContainer", "path": "/bin/busybox", "args": []string{"sh", "-c", "cat >" + mark}}}}}}})
		r.must("specification", os.WriteFile(filepath.Join(cdiDir, r.name+"-hook.json"), text, 0o644))
		r.sh("echo ran", func(c *api.ContainerConfig) { c.CDIDevices = []*api.CDIDevice{{Name: vendor + "=x"}} })
		state, err := os.ReadFile(mark)
		r.must("hook", err)
		r.say("the hook was told the state: %t", strings.Contains(string(state), `"bundle"`))
	}, "ran\nthe hook was told the state: true\n"},
	{"an unknown CDI device", func(r *run) {
		r.sh("true", func(c *api.ContainerConfig) { c.CDIDevices = []*api.CDIDevice{{Name: "vendor.example/none=0"}} })
	}, "create: refused\n"},
}
