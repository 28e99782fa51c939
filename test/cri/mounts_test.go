package cri

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// volume is a directory of the node with a mount on it and one below that, both shared.
func (r *run) volume() string {
	dir, err := os.MkdirTemp(r.dir, "volume")
	r.must("volume", err)
	r.volumes = append(r.volumes, filepath.Join(dir, "below"), dir)
	for _, d := range []string{dir, filepath.Join(dir, "below")} {
		r.must("volume", os.MkdirAll(d, 0o755))
		r.must("volume", unix.Mount("tmpfs", d, "tmpfs", 0, ""))
		r.must("volume", unix.Mount("", d, "", unix.MS_SHARED, ""))
	}
	r.must("volume", os.WriteFile(filepath.Join(dir, "file"), []byte("of the node\n"), 0o644))
	return dir
}

// mounted runs a script with one mount at /v.
func (r *run) mounted(m *api.Mount, script string) {
	m.ContainerPath = "/v"
	r.sh(script, func(c *api.ContainerConfig) { c.Mounts = []*api.Mount{m} })
}

const tries = "touch /v/x 2>/dev/null && echo wrote || echo no; touch /v/below/x 2>/dev/null && echo wrote below || echo no"

var mounts = []check{
	{"writable", func(r *run) { r.mounted(&api.Mount{HostPath: r.volume()}, "cat /v/file; "+tries) }, "of the node\nwrote\nwrote below\n"},
	{"read-only", func(r *run) { r.mounted(&api.Mount{HostPath: r.volume(), Readonly: true}, tries) }, "no\nwrote below\n"},
	{"read-only all the way", func(r *run) {
		r.mounted(&api.Mount{HostPath: r.volume(), Readonly: true, RecursiveReadOnly: true}, tries)
	}, "no\nno\n"},
	{"read-only all the way, but writable", func(r *run) {
		r.mounted(&api.Mount{HostPath: r.volume(), RecursiveReadOnly: true}, tries)
	}, "create: refused\n"},
	{"read-only all the way and propagated", func(r *run) {
		r.mounted(&api.Mount{HostPath: r.volume(), Readonly: true, RecursiveReadOnly: true, Propagation: api.MountPropagation_PROPAGATION_HOST_TO_CONTAINER}, tries)
	}, "create: refused\n"},
	{"one file", func(r *run) {
		r.mounted(&api.Mount{HostPath: filepath.Join(r.volume(), "file")}, "cat /v")
	}, "of the node\n"},
	{"over a link of the node", func(r *run) {
		dir := r.volume()
		r.must("link", os.Symlink("file", filepath.Join(dir, "link")))
		r.mounted(&api.Mount{HostPath: filepath.Join(dir, "link")}, "cat /v")
	}, "of the node\n"},
	{"made where nothing is", func(r *run) {
		path := filepath.Join(r.volume(), "new", "dir")
		r.mounted(&api.Mount{HostPath: path}, "touch /v/x && echo wrote")
		_, err := os.Stat(filepath.Join(path, "x"))
		r.refused("on the node", err)
	}, "wrote\non the node: done\n"},
	{"no absolute path in the container", func(r *run) {
		r.sh("cat /rel/file", func(c *api.ContainerConfig) { c.Mounts = []*api.Mount{{HostPath: r.volume(), ContainerPath: "rel"}} })
	}, "of the node\n"},
	{"a mount below a mount", func(r *run) {
		a, b := r.volume(), r.volume()
		r.sh("cat /v/inner/file /v/file; touch /v/inner/mark; ls /v/below/inner 2>/dev/null; echo end", func(c *api.ContainerConfig) {
			c.Mounts = []*api.Mount{{HostPath: b, ContainerPath: "/v/inner"}, {HostPath: a, ContainerPath: "/v"}}
		})
	}, "of the node\nof the node\nend\n"},
	{"instead of the pod's file", func(r *run) {
		r.sh("cat /etc/hosts", func(c *api.ContainerConfig) {
			c.Mounts = []*api.Mount{{HostPath: filepath.Join(r.volume(), "file"), ContainerPath: "/etc/hosts"}}
		})
	}, "of the node\n"},
	{"private: nothing comes in", func(r *run) { r.propagated(api.MountPropagation_PROPAGATION_PRIVATE) }, "came in: false\nwent out: false\n"},
	{"from the node: mounts come in", func(r *run) { r.propagated(api.MountPropagation_PROPAGATION_HOST_TO_CONTAINER) }, "came in: true\nwent out: false\n"},
	{"both ways", func(r *run) { r.propagated(api.MountPropagation_PROPAGATION_BIDIRECTIONAL) }, "came in: true\nwent out: true\n"},
	{"propagation of a private mount", func(r *run) {
		dir := r.volume()
		r.must("private", unix.Mount("", dir, "", unix.MS_PRIVATE, ""))
		for _, p := range []api.MountPropagation{api.MountPropagation_PROPAGATION_HOST_TO_CONTAINER, api.MountPropagation_PROPAGATION_BIDIRECTIONAL} {
			r.mounted(&api.Mount{HostPath: dir, Propagation: p}, "true")
		}
	}, "create: refused\ncreate: refused\n"},
	{"an image", func(r *run) {
		r.mounted(&api.Mount{Image: &api.ImageSpec{Image: toolbox}, Readonly: true}, "cat /v/data/part; touch /v/x 2>/dev/null || echo no; test -x /v/bin/busybox && echo runs")
	}, "a part of an image\nno\nruns\n"},
	{"a part of an image", func(r *run) {
		r.mounted(&api.Mount{Image: &api.ImageSpec{Image: toolbox}, ImageSubPath: "data", Readonly: true}, "cat /v/part")
	}, "a part of an image\n"},
	{"a part of an image that is outside", func(r *run) {
		r.mounted(&api.Mount{Image: &api.ImageSpec{Image: toolbox}, ImageSubPath: "../../nowhere", Readonly: true}, "ls /v")
	}, "create: refused\n"},
	{"a part of an image that is not there", func(r *run) {
		r.mounted(&api.Mount{Image: &api.ImageSpec{Image: toolbox}, ImageSubPath: "nowhere", Readonly: true}, "ls /v")
	}, "create: refused\n"},
	{"an image that is not here", func(r *run) {
		r.mounted(&api.Mount{Image: &api.ImageSpec{Image: "docker.io/library/none:1"}, Readonly: true}, "ls /v")
	}, "create: refused\n"},
	{"two containers of one image's volume", func(r *run) {
		pod, pc := r.pod(nil)
		for range 2 {
			r.shIn(pod, pc, "cat /v/data/part", func(c *api.ContainerConfig) {
				c.Mounts = []*api.Mount{{Image: &api.ImageSpec{Image: toolbox}, ContainerPath: "/v", Readonly: true}}
			})
		}
	}, "a part of an image\na part of an image\n"},
}

// propagated asks in which directions mounts travel.
func (r *run) propagated(p api.MountPropagation) {
	dir := r.volume()
	for _, d := range []string{"in", "out"} {
		r.must("dir", os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	c := r.shell("exec sleep 1000")
	sec(c).Privileged = true
	c.Mounts = []*api.Mount{{HostPath: dir, ContainerPath: "/v", Propagation: p}}
	pod, pc := r.pod(privilegedPod)
	id := r.create(pod, pc, c)
	r.start(id)
	r.must("mount", unix.Mount("tmpfs", filepath.Join(dir, "in"), "tmpfs", 0, ""))
	r.must("mark", os.WriteFile(filepath.Join(dir, "in", "mark"), nil, 0o644))
	r.say("came in: %t", r.exec(id, "sh", "-c", "test -e /v/in/mark && echo yes || echo no") == "yes\n")
	r.exec(id, "sh", "-c", "mount -t tmpfs x /v/out && touch /v/out/mark")
	_, err := os.Stat(filepath.Join(dir, "out", "mark"))
	r.volumes = append([]string{filepath.Join(dir, "out"), filepath.Join(dir, "in")}, r.volumes...)
	r.say("went out: %t", err == nil)
}
