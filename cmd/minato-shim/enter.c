// Putting a process into a container, a new one or one that runs: what libcontainer does for it with a helper, two more
// processes and two starts of the Go runtime, in some hundred system calls. Exec probes run it all day long.
//
// It runs without the Go runtime, as three processes:
//   - the clerk, which is born of the door (door.c), stays outside, waits for the others and writes down what became of them;
//   - the usher joins the container's cgroups and namespaces and starts the guest there as the clerk's child;
//   - the guest, born inside, becomes the wanted user with the wanted privileges and executes the program.
// What the guest is given before it is one of the container's own: standard streams and one pipe to the clerk, nothing
// else. It is not dumpable, so processes in the container can neither trace it nor look at its files, and its program
// file is on a mount that nobody can write to. The request is made by internal/shim/jail/entry.go, which also says what
// of a container is not done here.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inside.h"

// What usher and guest tell the clerk; each fits into a pipe whole.
struct message {
	int32_t kind;
	int32_t pid;
	char text[1024];
};

enum { STARTED = 1, FAILED, UNFIT, READY };

static int report_fd = -1;

// why says an error as Go's programs do, whose words clients know.
const char *why(int e)
{
	static char text[128];
	snprintf(text, sizeof text, "%s", strerror(e));
	if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a')
		text[0] += 'a' - 'A';
	return text;
}

static void report(int kind, int pid, const char *format, va_list args)
{
	struct message m;
	memset(&m, 0, sizeof m);
	m.kind = kind;
	m.pid = pid;
	if (format)
		vsnprintf(m.text, sizeof m.text, format, args);
	if (write(report_fd, &m, sizeof m) < 0)
		_exit(1);
}

void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(FAILED, 0, format, args);
	va_end(args);
	_exit(1);
}

// unfit says that this container needs what is not done here; nothing has been started yet.
void unfit(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(UNFIT, 0, format, args);
	va_end(args);
	_exit(1);
}

// --- the request ---

static char *next_string(char **at, char *end)
{
	char *s = *at, *zero = memchr(s, 0, end - s);
	if (!zero)
		fail("broken request");
	*at = zero + 1;
	return s;
}

static char **next_strings(char **at, char *end, uint32_t n)
{
	char **list = calloc(n + 2, sizeof *list); // one more, for HOME
	if (!list)
		fail("no memory");
	for (uint32_t i = 0; i < n; i++)
		list[i] = next_string(at, end);
	return list;
}

static struct request parse(void)
{
	struct stat st;
	struct request r;
	memset(&r, 0, sizeof r);
	if (fstat(REQUEST_FD, &st) < 0 || st.st_size < (off_t)sizeof *r.h)
		fail("no request");
	char *at = malloc(st.st_size), *end = at + st.st_size;
	if (!at || pread(REQUEST_FD, at, st.st_size, 0) != st.st_size)
		fail("read request: %s", why(errno));
	r.h = (struct head *)at;
	at += sizeof *r.h;
	if (r.h->magic != ENTRY_MAGIC || r.h->size != st.st_size)
		fail("not a request of this version");
	uint64_t fixed = ((uint64_t)r.h->groups + 1) / 2 * 8 + (uint64_t)r.h->limits * sizeof *r.limits + (uint64_t)r.h->filter * sizeof *r.filter +
			 (uint64_t)r.h->steps * sizeof *r.steps;
	if (fixed > (uint64_t)(end - at))
		fail("broken request");
	r.groups = (gid_t *)at;
	at += ((uint64_t)r.h->groups + 1) / 2 * 8;
	r.limits = (struct limit *)at;
	at += r.h->limits * sizeof *r.limits;
	r.filter = (struct sock_filter *)at;
	at += r.h->filter * sizeof *r.filter;
	r.steps = (struct step *)at;
	at += r.h->steps * sizeof *r.steps;
	r.id = next_string(&at, end);
	r.cwd = next_string(&at, end);
	r.cgroups = next_strings(&at, end, r.h->cgroups);
	r.args = next_strings(&at, end, r.h->args);
	r.env = next_strings(&at, end, r.h->env);
	if (r.h->steps) {
		r.root = next_string(&at, end);
		r.fifo = next_string(&at, end);
		r.joins = next_strings(&at, end, r.h->joins);
		r.step_strings = next_strings(&at, end, 4 * r.h->steps);
	}
	return r;
}

// --- the guest ---

// set_home completes the environment as a login would: HOME is the user's in the container's accounts, else "/".
static void set_home(struct request *r)
{
	static char line[4096], home[4096] = "HOME=/";
	r->env[r->h->env] = home;
	// The container may have put anything there: only a regular file is read.
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *f = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "re") : NULL;
	while (f && fgets(line, sizeof line, f)) {
		char *rest = line, *field[7] = {0}, *junk;
		line[strcspn(line, "\n")] = 0;
		for (int i = 0; i < 7 && rest; i++)
			field[i] = strsep(&rest, ":");
		if (!field[5] || !*field[2] || strtoul(field[2], &junk, 10) != r->h->uid || *junk)
			continue;
		snprintf(home, sizeof home, "HOME=%s", field[5]);
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void find_path(struct request *r)
{
	for (char **e = r->env; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			r->path = *e + 5;
}

// own_streams gives the standard streams to the user, who could not open them again otherwise (/dev/stdout).
static void own_streams(uid_t uid)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		if (fstat(fd, &st) < 0)
			fail("stream %d: %s", fd, why(errno));
		if (st.st_uid == uid || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
			continue;
		if (fchown(fd, uid, -1) < 0 && errno != EPERM && errno != EROFS)
			fail("owner of stream %d: %s", fd, why(errno));
	}
}

static int change_dir(const char *cwd)
{
	if (!*cwd || chdir(cwd) == 0)
		return 0;
	if (errno != EACCES && errno != EPERM)
		fail("chdir to cwd (\"%s\") set in config.json failed: %s", cwd, why(errno));
	return errno;
}

static void drop_bounding(uint64_t keep)
{
	for (int c = 0; c < 64; c++) {
		if (keep >> c & 1)
			continue;
		int is = prctl(PR_CAPBSET_READ, c, 0, 0, 0);
		if (is < 0)
			break; // the kernel knows no more
		if (is && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			fail("unable to apply bounding set: %s", why(errno));
	}
}

static void set_caps(struct head *h)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++) {
		data[i].effective = h->effective >> 32 * i;
		data[i].permitted = h->permitted >> 32 * i;
		data[i].inheritable = h->inheritable >> 32 * i;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		fail("unable to apply caps: %s", why(errno));
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		fail("unable to apply caps: %s", why(errno));
	for (int c = 0; c < 64; c++) // one that is not both permitted and inheritable is left out, as it always was
		if (h->ambient >> c & 1)
			(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0);
}

static void become(struct request *r)
{
	struct head *h = r->h;
	int later = change_dir(r->cwd); // what root may enter
	drop_bounding(h->bounding);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		fail("unable to set keep caps: %s", why(errno));
	own_streams(h->uid);
	if (setgroups(h->groups, r->groups) < 0)
		fail("unable to setup user: setgroups: %s", why(errno));
	if (setgid(h->gid) < 0)
		fail("unable to setup user: setgid %u: %s", h->gid, why(errno));
	if (setuid(h->uid) < 0)
		fail("unable to setup user: setuid %u: %s", h->uid, why(errno));
	if (later && change_dir(r->cwd)) // what only the user may enter
		fail("chdir to cwd (\"%s\") set in config.json failed: %s", r->cwd, why(errno));
	char where[4096];
	long n = syscall(SYS_getcwd, where, sizeof where);
	if (n < 0 && errno != ERANGE)
		fail("failed to verify if current working directory is safe: %s", why(errno));
	if (n >= 0 && where[0] != '/')
		fail("current working directory is outside of container mount namespace root -- possible container breakout detected");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		fail("unable to clear keep caps: %s", why(errno));
	set_caps(h);
}

// executable returns 0, an error, or a negative error of looking at path at all.
static int executable(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (syscall(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return errno;
	return st.st_mode & 0111 ? 0 : EACCES;
}

static char *look_up(struct request *r)
{
	char *name = r->args[0];
	if (strchr(name, '/')) {
		int e = executable(name);
		if (e < 0)
			fail("exec: \"%s\": stat %s: %s", name, name, why(-e));
		if (e > 0)
			fail("exec: \"%s\": %s", name, why(e));
		return name;
	}
	static char found[8192];
	for (char *dir = r->path, *end; dir; dir = end ? end + 1 : NULL) {
		end = strchr(dir, ':');
		int n = end ? (int)(end - dir) : (int)strlen(dir);
		// A program of the working directory is not found by an empty or relative part of PATH.
		if (n == 0 || dir[0] != '/' || snprintf(found, sizeof found, "%.*s/%s", n, dir, name) >= (int)sizeof found)
			continue;
		if (*name && executable(found) == 0)
			return found;
	}
	fail("exec: \"%s\": executable file not found in $PATH", name);
}

static void filter(struct request *r)
{
	if (!r->h->filter)
		return;
	struct sock_fprog p = {r->h->filter, r->filter};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, r->h->seccomp_flags, &p) != 0)
		fail("unable to init seccomp: %s", why(errno));
}

static void own_keyring(struct request *r)
{
	char ring[256];
	snprintf(ring, sizeof ring, "_ses.%s", r->id);
	long key = syscall(SYS_keyctl, 1 /* join session keyring */, ring);
	if (key < 0 && errno != ENOSYS)
		fail("unable to join session keyring: %s", why(errno));
	if (key < 0 || !r->h->steps)
		return;
	// The first process makes the ring searchable for those that enter later.
	char text[512] = "";
	unsigned perm = 0;
	if (syscall(SYS_keyctl, 6 /* describe */, key, text, sizeof text - 1) < 0 || sscanf(text, "%*[^;];%*d;%*d;%x;", &perm) != 1 ||
	    syscall(SYS_keyctl, 5 /* set permissions */, key, perm | 0x80000) < 0)
		fail("unable to mod keyring permissions: %s", why(errno));
}

// wait_for_start lets the shim's side go on, and then waits until somebody opens the fifo, as libcontainer's init does. The
// one descriptor that stays open is the fifo's: who reads it hears its end when the program is executed, and not before.
static void wait_for_start(int proc, int fifo)
{
	char path[64];
	struct message m = {.kind = READY};
	if (write(report_fd, &m, sizeof m) < 0)
		_exit(1);
	close(report_fd);
	snprintf(path, sizeof path, "self/fd/%d", fifo);
	signal(SIGPIPE, SIG_IGN);
	int fd;
	for (;;) {
		fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			_exit(1);
		if (write(fd, "0", 1) == 1)
			break;
		if (errno != EPIPE) // who opened it has died: somebody will open it again
			_exit(1);
		close(fd);
	}
	signal(SIGPIPE, SIG_DFL);
	if (fd == 3 || dup3(fd, 3, O_CLOEXEC) == 3)
		syscall(SYS_close_range, 4, ~0U, 0);
	else
		syscall(SYS_close_range, 3, ~0U, 0);
}

// start_now lets the shim's side go on where nobody has to do anything before the program is executed. The pipe to the
// clerk ends with that.
static void start_now(void)
{
	struct message m = {.kind = READY};
	if (write(report_fd, &m, sizeof m) < 0)
		_exit(1);
}

static void guest(struct request *r)
{
	struct head *h = r->h;
	int proc = -1, fifo = -1;
	int waits = h->steps && *r->fifo;
	if (setsid() < 0)
		fail("setsid: %s", why(errno));
	if (h->flags & OWN_KEYRING)
		own_keyring(r);
	if (waits) {
		prctl(PR_SET_NAME, "runc:[2:INIT]"); // the name by which an init that waits is known
		fifo = open(r->fifo, O_PATH | O_CLOEXEC);
		if (fifo < 0)
			fail("exec fifo: %s", why(errno));
	}
	if (h->steps)
		proc = build_root(r);
	if (h->flags & SET_HOME)
		set_home(r);
	find_path(r);
	if (h->flags & NO_NEW_PRIVS && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("no_new_privs: %s", why(errno));
	for (uint32_t i = 0; i < h->limits; i++) {
		struct rlimit l = {r->limits[i].soft, r->limits[i].hard};
		if (setrlimit((int)r->limits[i].resource, &l) < 0)
			fail("error setting rlimit %d: %s", (int)r->limits[i].resource, why(errno));
	}
	// Without no_new_privs a filter needs privileges, which are about to go; with it, it comes as late as it can.
	if (!(h->flags & NO_NEW_PRIVS))
		filter(r);
	become(r);
	char *program = look_up(r);
	if (h->flags & NO_NEW_PRIVS)
		filter(r);
	if (waits)
		wait_for_start(proc, fifo);
	else if (h->steps)
		start_now();
	execve(program, r->args, r->env);
	if (h->steps) { // nobody listens any more but who reads the container's log
		dprintf(2, "exec %s: %s\n", program, why(errno));
		_exit(255);
	}
	fail("exec %s: %s", program, why(errno));
}

// --- the usher ---

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int e = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return e;
}

static void join_cgroups(struct request *r)
{
	for (uint32_t i = 0; i < r->h->cgroups; i++) {
		int e = write_file(r->cgroups[i], "0");
		// The container keeps its processes in cgroups of its own making: finding the right one is libcontainer's.
		if (e && r->h->flags & UNIFIED)
			unfit("join %s: %s", r->cgroups[i], why(e));
		if (e)
			fail("error adding process to cgroup: %s: %s", r->cgroups[i], why(e));
	}
	// Whatever the shim was bound to, the container's cpuset decides.
	unsigned char all[8192];
	memset(all, 0xff, sizeof all);
	(void)syscall(SYS_sched_setaffinity, 0, sizeof all, all); // at worst it stays with our own
}

// set_oom_score obeys where it may: lowering it below ours needs CAP_SYS_RESOURCE.
static void set_oom_score(int wanted)
{
	char text[16], own[16] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd < 0 || read(fd, own, sizeof own - 1) < 0)
		fail("oom_score_adj: %s", why(errno));
	snprintf(text, sizeof text, "%d", wanted);
	if (atoi(own) != wanted && write(fd, text, strlen(text)) < 0 && (errno != EACCES || wanted > atoi(own)))
		fail("oom_score_adj: %s", why(errno));
	close(fd);
}

static void join_namespaces(struct request *r)
{
	if (!r->h->steps) {
		if (setns(PIDFD, r->h->namespaces) == 0)
			return;
		if (errno == ESRCH)
			fail("the container has ended");
		unfit("setns: %s", why(errno));
	}
	for (uint32_t i = 0; i < r->h->joins; i++) {
		int fd = open(r->joins[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, 0) < 0)
			fail("namespace %s: %s", r->joins[i], why(errno));
		close(fd);
	}
}

static void usher(struct request *r)
{
	join_cgroups(r);
	set_oom_score(r->h->oom_score);
	join_namespaces(r);
	if (report_fd != REQUEST_FD && dup3(report_fd, REQUEST_FD, O_CLOEXEC) < 0)
		fail("dup: %s", why(errno));
	report_fd = REQUEST_FD;
	if (syscall(SYS_close_range, REQUEST_FD + 1, ~0U, 0) < 0)
		unfit("close_range: %s", why(errno));
	// A sibling of ours: the clerk learns its end even if we are gone.
	pid_t pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD | (r->h->steps ? r->h->namespaces : 0), 0, 0, 0, 0);
	if (pid < 0)
		fail("clone: %s", why(errno));
	if (pid == 0)
		guest(r);
	struct message m = {.kind = STARTED, .pid = pid};
	_exit(write(report_fd, &m, sizeof m) < 0);
}

// --- the clerk ---

static uint64_t born(pid_t pid)
{
	char path[64], buf[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	char *p = strrchr(buf, ')');
	for (int i = 0; p && i < 20; i++)
		if ((p = strchr(p, ' ')))
			p++;
	return p ? strtoull(p, NULL, 10) : 0;
}

static void put_json_string(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
}

static void put_result(FILE *f, const struct message *m, uint64_t start)
{
	if (m->kind == STARTED) {
		fprintf(f, "{\"pid\":%d,\"startTime\":%llu}\n", m->pid, (unsigned long long)start);
	} else {
		fprintf(f, m->kind == UNFIT ? "{\"unfit\":true,\"error\":\"" : "{\"error\":\"unable to start container process: ");
		put_json_string(f, m->text);
		fputs("\"}\n", f);
	}
}

// replace_result replaces result.json of the directory, which makes it known whether the shim lives or not.
static void replace_result(const char *dir, const struct message *m, uint64_t start)
{
	char path[4096], tmp[4100];
	if (snprintf(path, sizeof path, "%s/result.json", dir) >= (int)sizeof path)
		_exit(1);
	snprintf(tmp, sizeof tmp, "%s.tmp", path);
	FILE *f = fopen(tmp, "we");
	if (!f)
		_exit(1);
	put_result(f, m, start);
	if (fclose(f) != 0 || rename(tmp, path) < 0)
		_exit(1);
}

// add_result adds a line to the note of a session, which is the lock.
static void add_result(const struct message *m, uint64_t start)
{
	FILE *f = fdopen(LOCK_FD, "w");
	if (!f)
		_exit(1);
	put_result(f, m, start);
	if (fflush(f) != 0)
		_exit(1);
}

static ssize_t receive(int fd, struct message *m)
{
	ssize_t n;
	do
		n = read(fd, m, sizeof *m);
	while (n < 0 && errno == EINTR);
	return n;
}

// What the shim is told at once; the record is for one that is started meanwhile.
struct answer {
	int32_t kind, pid;
	uint64_t start_time;
	char text[1024];
};

// answer tells the shim, with a pidfd of what was started, which is our child and so cannot be another by now.
static void answer(int fd, const struct message *m, uint64_t start_time)
{
	struct answer a = {.kind = m->kind, .pid = m->pid, .start_time = start_time};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {&a, sizeof a};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int pidfd = m->kind == STARTED ? (int)syscall(SYS_pidfd_open, m->pid, 0) : -1;
	snprintf(a.text, sizeof a.text, "%s", m->text);
	if (pidfd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &pidfd, sizeof pidfd);
	}
	(void)!sendmsg(fd, &msg, MSG_NOSIGNAL); // a shim that has gone left it to its successor to read the record
}

void clerk(const char *dir, int making, int shim)
{
	int fds[2];
	prctl(PR_SET_NAME, "minato-enter");
	alarm(CLERK_SECONDS);
	if (pipe2(fds, O_CLOEXEC) < 0)
		_exit(1);
	report_fd = fds[1];
	// The usher needs no memory of its own: the clerk rests until it has gone, and nobody in the container can see it.
	pid_t pid = vfork();
	if (pid == 0) {
		struct request r = parse();
		usher(&r);
	}
	close(fds[1]);
	struct message m, start = {0}, failure = {0};
	int ready = !making;
	// The pipe ends when the guest has executed its program or waits to be let go, or has failed to.
	while (receive(fds[0], &m) == (ssize_t)sizeof m) {
		m.text[sizeof m.text - 1] = 0;
		if (m.kind == READY)
			ready = 1;
		else
			*(m.kind == STARTED ? &start : &failure) = m;
	}
	if (!failure.kind && (!start.kind || !ready)) {
		failure.kind = FAILED;
		snprintf(failure.text, sizeof failure.text, "%s", pid < 0 ? "vfork failed" : "it was killed before it began");
	}
	if (failure.kind && start.kind) { // nobody may meet it any more when the failure is known
		kill(start.pid, SIGKILL);
		waitpid(start.pid, NULL, 0);
	}
	if (failure.kind && pid > 0) // what it held, the lock too, is free then
		waitpid(pid, NULL, 0);
	uint64_t start_time = failure.kind ? 0 : born(start.pid);
	const struct message *told = failure.kind ? &failure : &start;
	if (making)
		replace_result(dir, told, start_time);
	else
		add_result(told, start_time);
	flock(LOCK_FD, LOCK_UN); // the door, too, may have it open for a moment
	answer(shim, told, start_time);
	_exit(0);
}
