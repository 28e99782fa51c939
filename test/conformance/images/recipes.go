package images

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// recipe fills one layer.
type recipe func(ctx context.Context, k *kitchen) (tree, error)

// recipes says how each layer of the table is made.
var recipes = map[string]recipe{
	"busybox":                busybox,
	"base":                   base,
	"agnhost":                agnhostLayer,
	"kitten":                 pages("kitten"),
	"nautilus":               pages("nautilus"),
	"nginx":                  nginxLayer,
	"perl":                   perl,
	"pause":                  pause,
	"sample-apiserver":       program("/sample-apiserver", 0o755),
	"hostpathplugin":         program("/hostpathplugin", 0o755),
	"regression-issue-74839": program("/regression-issue-74839", 0o755),
	"resource-consumer":      program("/consumer", 0o755, "/consume-cpu"),
	"nnp":                    program("/usr/local/bin/nnp", 0o6755),
	"etcd":                   program("/usr/local/bin/etcd", 0o755),
}

// kitchen is what recipes cook with.
type kitchen struct {
	bin     string // built programs
	scratch string
	source  string // the Kubernetes module
	debs    debian
}

// program is a layer of one or more built programs, each named by the last part of its path.
func program(at string, mode int64, more ...string) recipe {
	return func(_ context.Context, k *kitchen) (tree, error) {
		t := tree{}
		for _, p := range append([]string{at}, more...) {
			if err := t.add(p, filepath.Join(k.bin, path.Base(p)), mode); err != nil {
				return nil, err
			}
		}
		return t, nil
	}
}

// busybox has all applets in /bin. Its shell is bash: Debian's busybox shell prefers its own applets to programs on
// PATH and drops environment names that are no shell identifiers, both unlike the original image.
func busybox(ctx context.Context, k *kitchen) (tree, error) {
	full, err := k.debs.unpack(ctx, "busybox-static", "bash-static")
	if err != nil {
		return nil, err
	}
	t := tree{}
	for _, p := range []string{"busybox", "bash-static"} {
		for _, dir := range []string{"bin/", "usr/bin/"} {
			if n := full[dir+p]; n != nil {
				c := *n
				t.put("bin/"+p, &c)
			}
		}
	}
	skeleton(t)
	t.link("bash-static", "bin/sh")
	applets, err := k.applets(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, a := range applets {
		if name := "bin/" + path.Base(a); !t.has(name) {
			t.link("busybox", name)
		}
	}
	t.link("/bin/busybox", "usr/bin/env")
	return t, nil
}

// base is the userland of most images: shell, name and network tools, and busybox for whatever is lacking.
func base(ctx context.Context, k *kitchen) (tree, error) {
	t, err := k.debs.unpack(ctx, "busybox-static", "bash", "curl", "ca-certificates", "bind9-dnsutils", "bind9-host", "netcat-openbsd",
		"iproute2", "iperf", "socat", "libc-bin", "conntrack")
	if err != nil {
		return nil, err
	}
	skeleton(t)
	if !t.has("bin/nc") {
		t.link("nc.openbsd", "bin/nc")
	}
	t.link("bash", "bin/sh")
	applets, err := k.applets(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, a := range applets {
		if !provided(t, a) {
			t.link("/bin/busybox", a)
		}
	}
	appendText(t, "etc/passwd", "user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n")
	appendText(t, "etc/group", "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n")
	t.put("home/user-defined-in-image", &node{hdr: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, Uid: 1000, Gid: 1000}})
	return t, nil
}

// applets asks busybox what it can do: paths as bin/ls.
func (k *kitchen) applets(ctx context.Context, t tree) ([]string, error) {
	bin := filepath.Join(k.scratch, "busybox")
	name := "bin/busybox"
	if !t.has(name) {
		name = "usr/bin/busybox"
		t.link("/usr/bin/busybox", "bin/busybox")
	}
	if err := t.extract(name, bin); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, bin, "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("busybox --list-full: %w", err)
	}
	return strings.Fields(string(out)), nil
}

func provided(t tree, applet string) bool {
	for _, dir := range []string{path.Dir(applet), "bin", "sbin", "usr/bin", "usr/sbin"} {
		if t.has(path.Join(dir, path.Base(applet))) {
			return true
		}
	}
	return false
}

func appendText(t tree, name, more string) { t.text(name, string(t[name].body)+more) }

// skeleton is what base-files and base-passwd set up on an installed system.
func skeleton(t tree) {
	for _, d := range []string{"bin", "dev", "etc", "home", "proc", "run", "sbin", "sys", "usr/bin", "usr/sbin", "var/log", "var/spool/mail", "lib64"} {
		t.dir(d, 0o755)
	}
	for d, mode := range map[string]int64{"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700} {
		t.dir(d, mode)
		t[d].hdr.Mode = mode
	}
	if !t.has("var/run") {
		t.link("/run", "var/run")
	}
	t.text("etc/passwd", `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`)
	t.text("etc/group", "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n")
	t.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\n")
}

func agnhostLayer(_ context.Context, k *kitchen) (tree, error) {
	t := tree{}
	if err := t.add("agnhost", filepath.Join(k.bin, "agnhost"), 0o755); err != nil {
		return nil, err
	}
	t.link("agnhost", "agnhost-2")
	t.dir("uploads", 0o755)
	for _, f := range []string{"localhost.crt", "localhost.key"} {
		if err := t.add(f, filepath.Join(k.source, "test/images/agnhost/porter", f), 0o644); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// pages is a layer of one of the two picture sites. One test reads os-release out of the image as a volume.
func pages(name string) recipe {
	return func(_ context.Context, k *kitchen) (tree, error) {
		t := tree{}
		for _, f := range []string{name + ".jpg", "data.json"} {
			if err := t.add(f, filepath.Join(k.source, "test/images", name, "html", f), 0o644); err != nil {
				return nil, err
			}
		}
		t.text("etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.21\n")
		return t, nil
	}
}

func nginxLayer(ctx context.Context, k *kitchen) (tree, error) {
	full, err := k.debs.unpack(ctx, "nginx-light", "libcrypt1")
	if err != nil {
		return nil, err
	}
	t := tree{}
	t.copy(full, func(name string) bool {
		base := path.Base(name)
		for _, lib := range []string{"libpcre2-8.so.0", "libcrypt.so.1", "libssl.so.3", "libcrypto.so.3", "libz.so.1"} {
			if strings.HasPrefix(base, lib) {
				return true
			}
		}
		return name == "usr/sbin/nginx" || name == "etc/nginx/mime.types"
	})
	for _, d := range []string{"etc/nginx/conf.d", "usr/share/nginx/html", "var/log/nginx", "var/lib/nginx", "var/cache/nginx", "docker-entrypoint.d"} {
		t.dir(d, 0o755)
	}
	t.text("etc/nginx/nginx.conf", `user nobody nogroup;
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  sendfile on;
  keepalive_timeout 65;
  include /etc/nginx/conf.d/*.conf;
}
`)
	t.text("etc/nginx/conf.d/default.conf", "server { listen 80; listen [::]:80; server_name localhost; location / { root /usr/share/nginx/html; index index.html; } }\n")
	t.text("usr/share/nginx/html/index.html", "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n")
	return t, nil
}

func perl(ctx context.Context, k *kitchen) (tree, error) {
	full, err := k.debs.unpack(ctx, "perl-base")
	if err != nil {
		return nil, err
	}
	t := tree{}
	t.copy(full, func(name string) bool {
		return name == "usr/bin/perl" || strings.HasPrefix(name, "usr/lib/x86_64-linux-gnu/perl-base") || strings.HasPrefix(path.Base(name), "libcrypt.so")
	})
	return t, nil
}

// pause is upstream's own C file.
func pause(ctx context.Context, k *kitchen) (tree, error) {
	bin := filepath.Join(k.scratch, "pause")
	cmd := exec.CommandContext(ctx, "gcc", "-Os", "-static", "-s", "-DVERSION=3.10.2", "-o", bin, filepath.Join(k.source, "build/pause/linux/pause.c"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile pause: %w\n%s", err, out)
	}
	body, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	t := tree{}
	t.put("pause", &node{hdr: tar.Header{Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(body))}, body: body})
	return t, nil
}
