// The root file system of a new container, in the order and with the care of libcontainer: every path inside the root is
// looked up as if the root were the whole world, mounts are finished before they are attached and attached to what was
// looked up, never by a path again. internal/shim/jail/steps.go makes the steps; what it leaves to libcontainer does not
// come here.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "inside.h"

// Declared here because <sys/mount.h> and <linux/mount.h> do not go together everywhere.
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

// Kinds of steps, with what they use beside dest.
enum {
	FILESYSTEM = 1, // source, type, data, attr_set, propagation; flags below
	BIND,           // source, attr_set, attr_clr, rec_set, rec_clr, propagation; flags RECURSIVE
	DEVICE,         // mode, uid, gid, dev
	LINK,           // source is what it points to
	UNLINK,
	DIRECTORY,
	READ_ONLY, // what is at dest, if it is, cannot be written through it any more
	MASK,      // what is at dest, if it is, cannot be seen any more; source may be an empty directory to show instead
	REMOUNT_READ_ONLY, // the mount at dest
	ROOT_READ_ONLY,
};

enum {
	RECURSIVE = 1,
	PLAIN = 2,    // dest must be a directory without links on the way to it
	SB_RDONLY = 4, // the file system itself is read-only
	LIKE_DEST = 8, // its root has the mode of what it covers
	ATTRS = 16,    // attr_set and attr_clr are to be applied
};

static int root = -1;

static int in_root(const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve};
	int fd;
	do // a rename anywhere on the machine disturbs the look-up of ".."
		fd = syscall(SYS_openat2, root, path, &how, sizeof how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd;
}

// make_dirs opens the directory and makes what is missing of it.
static int make_dirs(const char *path)
{
	int fd = in_root(path, O_PATH | O_DIRECTORY, 0);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	char upto[4096];
	if (snprintf(upto, sizeof upto, "%s", path) >= (int)sizeof upto) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int parent = dup(root);
	for (char *part = upto; parent >= 0 && *part;) {
		part += strspn(part, "/");
		char *end = part + strcspn(part, "/"), kept = *end;
		*end = 0;
		if (!*part)
			break;
		if (strcmp(part, "..") && strcmp(part, ".") && mkdirat(parent, part, 0755) < 0 && errno != EEXIST) {
			close(parent);
			return -1;
		}
		close(parent);
		parent = in_root(upto, O_PATH | O_DIRECTORY, 0);
		if (parent < 0 && errno == ENOENT)
			unfit("%s is a link to nothing", upto);
		*end = kept;
		part = end;
	}
	return parent;
}

// parent_of opens the directory of path, making it if need be, and returns the last part of path in name.
static int parent_of(const char *path, const char **name)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	*name = slash ? slash + 1 : path;
	if (!**name || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0 || slash - path >= (long)sizeof dir) {
		errno = EINVAL;
		return -1;
	}
	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 0, path);
	return make_dirs(*dir ? dir : "/");
}

static void set_attr(int mnt, uint64_t set, uint64_t clr, unsigned flags, uint64_t propagation, const char *dest)
{
	struct mount_attr a = {.attr_set = set, .attr_clr = clr, .propagation = propagation};
	if (syscall(SYS_mount_setattr, mnt, "", AT_EMPTY_PATH | flags, &a, sizeof a) < 0)
		fail("error mounting to rootfs at \"%s\": set attributes: %s", dest, why(errno));
}

static void propagate(int mnt, struct step *s, const char *dest)
{
	for (int i = 0; i < 4 && s->propagation[i]; i++)
		set_attr(mnt, 0, 0, s->propagation[i] & 0x4000 /* MS_REC */ ? AT_RECURSIVE : 0, s->propagation[i] & ~0x4000U, dest);
}

static void attach(int mnt, int to, const char *dest)
{
	if (syscall(SYS_move_mount, mnt, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		fail("error mounting to rootfs at \"%s\": %s", dest, why(errno));
	close(mnt);
	close(to);
}

// fit_to_cover leaves to libcontainer what it judges by rules of its own: mounts within proc. Nothing covers the root.
static void fit_to_cover(int fd, const char *dest)
{
	struct statfs fs;
	struct statx a, b;
	if (fstatfs(fd, &fs) < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &a) < 0 ||
	    statx(root, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &b) < 0)
		fail("mountpoint \"%s\": %s", dest, why(errno));
	if (fs.f_type == PROC_SUPER_MAGIC)
		unfit("mountpoint \"%s\" is in proc", dest);
	if (a.stx_ino == b.stx_ino && a.stx_mnt_id == b.stx_mnt_id)
		fail("mountpoint \"%s\" is on the top of rootfs", dest);
}

static int new_filesystem(struct step *s, char **str, int to)
{
	const char *dest = str[0], *source = str[1], *type = str[2];
	int fs = syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	if (fs < 0)
		unfit("%s: %s", type, why(errno));
	if (*source && syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		fail("error mounting \"%s\" to rootfs at \"%s\": source: %s", source, dest, why(errno));
	if (s->flags & LIKE_DEST) {
		struct stat st;
		char mode[16];
		if (fstat(to, &st) < 0)
			fail("mountpoint \"%s\": %s", dest, why(errno));
		snprintf(mode, sizeof mode, "%04o", st.st_mode & 07777);
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0)
			fail("error mounting \"%s\" to rootfs at \"%s\": mode: %s", source, dest, why(errno));
	}
	for (char *rest = str[3], *option; (option = strsep(&rest, ","));) {
		char *value = strchr(option, '=');
		if (value)
			*value++ = 0;
		if (*option && syscall(SYS_fsconfig, fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value, 0) < 0)
			unfit("%s does not know %s", type, option);
	}
	if (s->flags & SB_RDONLY && syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		fail("error mounting \"%s\" to rootfs at \"%s\": ro: %s", source, dest, why(errno));
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		unfit("error mounting \"%s\" to rootfs at \"%s\": %s", source, dest, why(errno));
	int mnt = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, (unsigned)s->attr_set);
	if (mnt < 0)
		unfit("error mounting \"%s\" to rootfs at \"%s\": %s", source, dest, why(errno));
	close(fs);
	return mnt;
}

static void mount_filesystem(struct step *s, char **str)
{
	int to = in_root(str[0], O_PATH | (s->flags & PLAIN ? O_NOFOLLOW : 0), s->flags & PLAIN ? RESOLVE_NO_SYMLINKS : 0);
	if (to < 0 && errno == ENOENT)
		to = make_dirs(str[0]);
	struct stat st;
	if (to < 0 || fstat(to, &st) < 0)
		fail("error mounting \"%s\" to rootfs at \"%s\": create mountpoint: %s", str[1], str[0], why(errno));
	if (s->flags & PLAIN && !S_ISDIR(st.st_mode))
		fail("filesystem \"%s\" must be mounted on ordinary directory", str[2]);
	fit_to_cover(to, str[0]);
	int mnt = new_filesystem(s, str, to);
	propagate(mnt, s, str[0]);
	attach(mnt, to, str[0]);
}

static void bind(struct step *s, char **str)
{
	struct stat st;
	int mnt = syscall(SYS_open_tree, AT_FDCWD, str[1], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (s->flags & RECURSIVE ? AT_RECURSIVE : 0));
	if (mnt < 0 || fstat(mnt, &st) < 0)
		fail("error mounting \"%s\" to rootfs at \"%s\": %s", str[1], str[0], why(errno));
	int to = in_root(str[0], O_PATH, 0);
	if (to < 0 && errno == ENOENT && S_ISDIR(st.st_mode)) {
		to = make_dirs(str[0]);
	} else if (to < 0 && errno == ENOENT) {
		const char *name;
		int dir = parent_of(str[0], &name);
		to = dir < 0 ? -1 : openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (dir >= 0)
			close(dir);
	}
	if (to < 0)
		fail("error mounting \"%s\" to rootfs at \"%s\": create mountpoint: %s", str[1], str[0], why(errno));
	fit_to_cover(to, str[0]);
	if (s->flags & ATTRS)
		set_attr(mnt, s->attr_set, s->attr_clr, 0, 0, str[0]);
	if (s->rec_set | s->rec_clr)
		set_attr(mnt, s->rec_set, s->rec_clr, AT_RECURSIVE, 0, str[0]);
	propagate(mnt, s, str[0]);
	attach(mnt, to, str[0]);
}

static void make_device(struct step *s, char **str)
{
	const char *name;
	int dir = parent_of(str[0], &name);
	if (dir < 0)
		fail("mkdir parent of device inode \"%s\": %s", str[0], why(errno));
	if (mknodat(dir, name, s->mode, s->dev) < 0) {
		if (errno == EPERM)
			unfit("mknod %s: %s", str[0], why(errno));
		if (errno != EEXIST)
			fail("error creating device nodes: %s: %s", str[0], why(errno));
		close(dir);
		return;
	}
	struct stat st;
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != (s->mode & S_IFMT) || st.st_rdev != s->dev)
		fail("new device inode %s is another one", str[0]);
	// The mode went through the umask, which is 0 here; only the owner is left to do.
	if (fchownat(fd, "", s->uid, s->gid, AT_EMPTY_PATH) < 0)
		fail("update new device inode %s owner: %s", str[0], why(errno));
	close(fd);
	close(dir);
}

static void make_link(char **str, int remove)
{
	const char *name;
	int dir = parent_of(str[0], &name);
	if (dir < 0)
		fail("\"%s\": %s", str[0], why(errno));
	if (remove ? unlinkat(dir, name, 0) < 0 && errno != ENOENT : symlinkat(str[1], dir, name) < 0 && errno != EEXIST)
		fail("\"%s\": %s", str[0], why(errno));
	close(dir);
}

static void read_only(char **str)
{
	int to = in_root(str[0], O_PATH, 0);
	if (to < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	int mnt = to < 0 ? -1 : syscall(SYS_open_tree, to, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (mnt < 0)
		fail("can't make \"%s\" read-only: %s", str[0], why(errno));
	set_attr(mnt, MOUNT_ATTR_RDONLY, 0, 0, 0, str[0]);
	attach(mnt, to, str[0]);
}

static int is_null(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

static void mask(char **str)
{
	struct stat st;
	int to = in_root(str[0], O_PATH, 0);
	if (to < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (to < 0 || fstat(to, &st) < 0)
		fail("can't mask path \"%s\": %s", str[0], why(errno));
	static int nothing = -1; // where the first directory that was masked is: one file system is enough for all
	int mnt;
	if (S_ISDIR(st.st_mode) && *str[1]) { // an empty directory that many share
		mnt = syscall(SYS_open_tree, AT_FDCWD, str[1], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (mnt >= 0)
			set_attr(mnt, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, 0, 0, str[0]);
	} else if (S_ISDIR(st.st_mode) && nothing >= 0) {
		mnt = syscall(SYS_open_tree, nothing, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	} else if (S_ISDIR(st.st_mode)) {
		struct step s = {.flags = SB_RDONLY, .attr_set = MOUNT_ATTR_RDONLY};
		char options[] = "nr_blocks=1,nr_inodes=1", *tmpfs[] = {str[0], "tmpfs", "tmpfs", options};
		mnt = new_filesystem(&s, tmpfs, to);
	} else {
		int null = in_root("/dev/null", O_PATH, 0);
		if (!is_null(null))
			unfit("the container's /dev/null is another file");
		mnt = syscall(SYS_open_tree, null, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		close(null);
	}
	if (mnt < 0)
		fail("can't mask path \"%s\": %s", str[0], why(errno));
	attach(mnt, to, str[0]);
	if (S_ISDIR(st.st_mode) && nothing < 0)
		nothing = in_root(str[0], O_PATH | O_DIRECTORY, 0);
}

static void take(struct step *s, char **str)
{
	int fd;
	switch (s->kind) {
	case FILESYSTEM:
		mount_filesystem(s, str);
		return;
	case BIND:
		bind(s, str);
		return;
	case DEVICE:
		make_device(s, str);
		return;
	case LINK:
	case UNLINK:
		make_link(str, s->kind == UNLINK);
		return;
	case DIRECTORY:
		if ((fd = make_dirs(str[0])) < 0)
			fail("mkdir %s: %s", str[0], why(errno));
		close(fd);
		return;
	case READ_ONLY:
		read_only(str);
		return;
	case MASK:
		mask(str);
		return;
	case REMOUNT_READ_ONLY:
		if ((fd = in_root(str[0], O_PATH, 0)) < 0)
			fail("remount %s: %s", str[0], why(errno));
		set_attr(fd, MOUNT_ATTR_RDONLY, 0, 0, 0, str[0]);
		close(fd);
		return;
	case ROOT_READ_ONLY:
		set_attr(root, MOUNT_ATTR_RDONLY, 0, 0, 0, str[0]);
		return;
	}
	unfit("unknown step %u", s->kind);
}

// own_nulls makes standard streams that are the host's /dev/null the container's.
static void own_nulls(void)
{
	int null = in_root("/dev/null", O_RDWR, 0);
	if (!is_null(null))
		fail("container's /dev/null is invalid");
	for (int fd = 0; fd < 3; fd++)
		if (is_null(fd) && dup3(null, fd, 0) < 0)
			fail("reopen /dev/null: %s", why(errno));
	close(null);
}

// cut_off keeps the mounts of the new root from travelling to the host: the mount that the root is on is not shared.
static void cut_off(const char *path, unsigned long how)
{
	char at[4096];
	snprintf(at, sizeof at, "%s", path);
	while (mount("", at, "", how, NULL) < 0) {
		char *slash = strrchr(at, '/');
		if (errno != EINVAL || !at[1] || !slash)
			fail("error preparing rootfs: %s: %s", at, why(errno));
		slash[slash == at] = 0; // EINVAL: not a mount, its parent may be
	}
}

static void pivot(void)
{
	int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0 || fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || fchdir(old) < 0 ||
	    mount("", ".", "", 0x80000 | 0x4000 /* MS_SLAVE | MS_REC */, NULL) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		fail("error jailing process inside rootfs: %s", why(errno));
	close(old);
}

// private_proc is a proc file system for ourselves, which no mount of the container can cover.
static int private_proc(void)
{
	int fs = syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "subset", "pid", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		unfit("proc: %s", why(errno));
	int mnt = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mnt < 0)
		unfit("proc: %s", why(errno));
	close(fs);
	return mnt;
}

int build_root(struct request *r)
{
	unsigned long propagation = r->h->root_propagation;
	umask(0);
	int proc = *r->fifo ? private_proc() : -1;
	if (mount("", "/", "", propagation ? propagation : 0x80000 | 0x4000, NULL) < 0)
		fail("error preparing rootfs: %s", why(errno));
	cut_off(r->root, propagation & 0x80000 ? 0x80000 : 0x40000);
	if (mount(r->root, r->root, "bind", 0x1000 | 0x4000 /* MS_BIND | MS_REC */, NULL) < 0 ||
	    (root = open(r->root, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		fail("error preparing rootfs: %s: %s", r->root, why(errno));
	for (uint32_t i = 0; i < r->h->steps; i++)
		take(&r->steps[i], &r->step_strings[4 * i]);
	own_nulls();
	pivot();
	if (propagation && !(propagation & (0x80000 | 0x40000)) && mount("", "/", "", propagation, NULL) < 0)
		fail("unable to apply root propagation flags: %s", why(errno));
	close(root);
	umask(022);
	return proc;
}
