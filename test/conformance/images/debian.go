package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// debian unpacks Debian packages without touching the machine: they are resolved against an empty list of installed
// packages, and their maintainer scripts do not run.
type debian struct{ dir string }

// left out of every layer: what only an installed system needs.
var unneeded = []string{"perl-base", "debconf", "dpkg", "tar", "adduser", "passwd", "init-system-helpers", "sysvinit-utils",
	"mawk", "diffutils", "findutils", "grep", "gzip", "hostname", "login", "ncurses-bin", "sed", "bsdutils", "e2fsprogs", "mount",
	"tzdata", "lsb-base", "cdebconf", "coreutils", "dash"}

var unneededPrefix = []string{"util-linux", "libpam", "libdebconf"}

// and paths of those that are taken.
var unneededPaths = []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian",
	"usr/share/bug", "usr/share/bash-completion", "usr/share/gcc", "usr/share/gdb", "usr/share/perl5", "usr/share/zoneinfo",
	"usr/share/common-licenses", "usr/lib/x86_64-linux-gnu/gconv", "var/cache"}

var instLine = regexp.MustCompile(`^Inst (\S+) \((\S+) .*\[(\w+)\]\)`)

// unpack returns the files of packages and of what they depend on; named packages are never left out.
func (d debian) unpack(ctx context.Context, packages ...string) (tree, error) {
	files, err := d.download(ctx, packages)
	if err != nil {
		return nil, err
	}
	t := tree{}
	for _, f := range files {
		cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", f)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		err = t.untar(out, func(name string) bool {
			return !slices.ContainsFunc(unneededPaths, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
		})
		if werr := cmd.Wait(); err == nil {
			err = werr
		}
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", filepath.Base(f), err)
		}
	}
	return t, nil
}

// download fetches the packages into the directory, where earlier downloads are kept, and returns the files to unpack.
func (d debian) download(ctx context.Context, packages []string) ([]string, error) {
	if err := os.MkdirAll(filepath.Join(d.dir, "partial"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(d.dir, "status"), nil, 0o644); err != nil {
		return nil, err
	}
	plan, err := d.apt(ctx, append([]string{"-s", "install"}, packages...))
	if err != nil { // no package lists yet, or old ones
		if out, uerr := exec.CommandContext(ctx, "apt-get", "update", "-qq").CombinedOutput(); uerr != nil {
			return nil, fmt.Errorf("apt-get update: %w\n%s", uerr, out)
		}
		if plan, err = d.apt(ctx, append([]string{"-s", "install"}, packages...)); err != nil {
			return nil, err
		}
	}
	if _, err := d.apt(ctx, append([]string{"-y", "-qq", "--download-only", "install"}, packages...)); err != nil {
		return nil, err
	}
	var files []string
	for _, line := range strings.Split(plan, "\n") {
		m := instLine.FindStringSubmatch(line)
		if m == nil || !slices.Contains(packages, m[1]) && skipped(m[1]) {
			continue
		}
		files = append(files, filepath.Join(d.dir, m[1]+"_"+strings.ReplaceAll(m[2], ":", "%3a")+"_"+m[3]+".deb"))
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("apt-get names no package for %v", packages)
	}
	return files, nil
}

func skipped(name string) bool {
	return slices.Contains(unneeded, name) || slices.ContainsFunc(unneededPrefix, func(p string) bool { return strings.HasPrefix(name, p) })
}

func (d debian) apt(ctx context.Context, args []string) (string, error) {
	all := append([]string{"-o", "Dir::State::status=" + filepath.Join(d.dir, "status"), "-o", "Dir::Cache::archives=" + d.dir,
		"-o", "APT::Install-Recommends=false", "-o", "Debug::NoLocking=1", "-o", "APT::Get::List-Cleanup=0", "-o", "APT::Sandbox::User=root"}, args...)
	cmd := exec.CommandContext(ctx, "apt-get", all...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
