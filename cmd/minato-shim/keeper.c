// The keeper: the part of minato-shim that is never upgraded and hardly ever changes.
//
// It runs before the Go runtime starts (a constructor that never returns), so that it costs a few hundred kilobytes. It
// is parent of the shim and subreaper of everything below, and does four things only:
//   - starts the shim and starts it again when it ends (from the binary the shim last vouched for);
//   - holds duplicates of open files that the shim must find again after a crash, by name;
//   - writes the exit status of every child to a ring in a file before it reaps the child;
//   - tells the shim that the ring has grown.
// The file format is that of internal/shim/hold, which is its only reader.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_LEN 200
#define HELD_MAX 16384
#define RING_SLOTS 2048
#define RING_MAGIC 0x316572656b6d6eULL

struct exit_record {
	uint64_t start_time; // field 22 of /proc/PID/stat
	int64_t when;        // nanoseconds since 1970
	uint32_t pid;
	uint32_t code;       // CLD_EXITED, CLD_KILLED, CLD_DUMPED
	uint32_t status;     // exit code or signal
	uint32_t pad;
};

struct ring {
	uint64_t magic;
	uint64_t head; // records ever written
	uint64_t pad[6];
	struct exit_record slot[RING_SLOTS];
};

struct held {
	char *name; // NULL: free
	int fd;
};

static struct held held[HELD_MAX];
static int held_top; // slots in use lie below
static struct ring *ring;
static const char *run_dir;
static int exe_fd = -1, shim_sock = -1, shim_pidfd = -1;
static pid_t shim_pid;
static unsigned restarts, quick_deaths;
static int quitting;
static int64_t started_at;

static int64_t now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
	dprintf(2, "keeper: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static uint64_t start_time(pid_t pid)
{
	char path[64], buf[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, buf, sizeof buf - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	char *p = strrchr(buf, ')'); // the name may hold spaces and parentheses
	for (int i = 0; p && i < 20; i++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	return p ? strtoull(p, NULL, 10) : 0;
}

static void open_ring(void)
{
	char path[512];
	snprintf(path, sizeof path, "%s/exits", run_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *ring) < 0)
		die(path);
	ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		die("map exits");
	close(fd);
	if (ring->magic != RING_MAGIC) {
		ring->head = 0;
		__atomic_store_n(&ring->magic, RING_MAGIC, __ATOMIC_RELEASE);
	}
}

// The record is complete before the process disappears: whoever sees the pid gone finds it here.
static void reap(void)
{
	int grown = 0;
	for (;;) {
		siginfo_t si;
		memset(&si, 0, sizeof si);
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			break;
		struct exit_record *r = &ring->slot[ring->head % RING_SLOTS];
		r->start_time = start_time(si.si_pid);
		r->when = now(CLOCK_REALTIME);
		r->pid = si.si_pid;
		r->code = si.si_code;
		r->status = si.si_status;
		__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
		waitid(P_PID, si.si_pid, &si, WEXITED | WNOHANG);
		grown = 1;
	}
	if (grown && shim_sock >= 0)
		send(shim_sock, "W", 1, MSG_DONTWAIT | MSG_NOSIGNAL); // a full queue already wakes it
}

static struct held *find(const char *name)
{
	for (int i = 0; i < held_top; i++)
		if (held[i].name && strcmp(held[i].name, name) == 0)
			return &held[i];
	return NULL;
}

static void hold(const char *name, int fd)
{
	struct held *h = find(name);
	if (h) {
		close(h->fd);
		h->fd = fd;
		return;
	}
	for (int i = 0; i < HELD_MAX; i++) {
		if (held[i].name)
			continue;
		held[i].name = strdup(name);
		if (!held[i].name)
			break;
		held[i].fd = fd;
		if (i >= held_top)
			held_top = i + 1;
		return;
	}
	close(fd);
}

static void drop(const char *name)
{
	struct held *h = find(name);
	if (!h)
		return;
	close(h->fd);
	free(h->name);
	h->name = NULL;
	while (held_top > 0 && !held[held_top - 1].name)
		held_top--;
}

static int send_fd(char op, const char *name, int fd)
{
	char buf[1024], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {buf, 1 + strlen(name)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	buf[0] = op;
	strcpy(buf + 1, name);
	if (fd >= 0) {
		memset(control, 0, sizeof control);
		m.msg_control = control;
		m.msg_controllen = sizeof control;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	return sendmsg(shim_sock, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void forget_shim(void)
{
	if (shim_sock >= 0)
		close(shim_sock);
	if (shim_pidfd >= 0)
		close(shim_pidfd);
	shim_sock = shim_pidfd = -1;
	shim_pid = 0;
}

static void start_shim(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	char keeper[16], count[16];
	snprintf(keeper, sizeof keeper, "%d", getpid());
	snprintf(count, sizeof count, "%u", restarts);
	pid_t pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return; // the loop comes back
	}
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (pair[1] == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(pair[1], 3);
		char *argv[] = {"minato-shim", "shim", (char *)run_dir, keeper, count, NULL};
		char *envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
		syscall(SYS_execveat, exe_fd, "", argv, envp, AT_EMPTY_PATH);
		die("exec shim");
	}
	close(pair[1]);
	shim_sock = pair[0];
	shim_pid = pid;
	shim_pidfd = syscall(SYS_pidfd_open, pid, 0);
	started_at = now(CLOCK_MONOTONIC);
	restarts++;
}

// open_for holds a reader of a fifo: whoever opens its other end may then write, whatever becomes of the shim.
static void open_for(char *name, size_t len)
{
	char *path = name + strlen(name) + 1;
	if (path >= name + len)
		return;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		hold(name, fd);
	send_fd('A', name, -1);
}

static void command(void)
{
	char buf[1024], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {buf, sizeof buf - 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(shim_sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { // the shim is gone or about to be: its pidfd says when
		close(shim_sock);
		shim_sock = -1;
		return;
	}
	buf[n] = 0;
	int fd = -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	switch (buf[0]) {
	case 'H':
		if (fd >= 0)
			hold(buf + 1, fd);
		fd = -1;
		break;
	case 'D':
		drop(buf + 1);
		break;
	case 'L':
		for (int i = 0; i < held_top; i++)
			if (held[i].name && send_fd('F', held[i].name, held[i].fd) < 0)
				break;
		send_fd('E', "", -1);
		break;
	case 'O':
		open_for(buf + 1, n - 1);
		break;
	case 'X':
		if (fd >= 0) {
			close(exe_fd);
			exe_fd = fd;
			fd = -1;
		}
		quick_deaths = 0;
		break;
	case 'Q':
		quitting = 1;
		break;
	}
	if (fd >= 0)
		close(fd);
}

// pause_before_restart returns how long, in milliseconds, to wait before the next start: nothing after an honest life,
// up to five seconds for a shim that dies at once again and again.
static int pause_before_restart(void)
{
	if (now(CLOCK_MONOTONIC) - started_at > 1000000000) {
		quick_deaths = 0;
		return 0;
	}
	quick_deaths++;
	if (quick_deaths <= 20) // a loop of kill -9 in a test, or bad luck
		return 0;
	int ms = 50 << (quick_deaths - 20 > 7 ? 7 : quick_deaths - 20);
	return ms > 5000 ? 5000 : ms;
}

static void loop(int sigfd)
{
	int64_t restart_at = 0;
	for (;;) {
		reap();
		if (!shim_pid) {
			int64_t t = now(CLOCK_MONOTONIC);
			if (quitting)
				_exit(0);
			if (restart_at == 0)
				restart_at = started_at ? t + (int64_t)pause_before_restart() * 1000000 : t;
			if (t >= restart_at) {
				start_shim();
				restart_at = shim_pid ? 0 : t + 100000000;
			}
		}
		struct pollfd p[3] = {{sigfd, POLLIN, 0}, {shim_pidfd, POLLIN, 0}, {shim_sock, POLLIN, 0}};
		int timeout = -1;
		if (!shim_pid) {
			timeout = (int)((restart_at - now(CLOCK_MONOTONIC)) / 1000000) + 1;
			if (timeout < 0)
				timeout = 0;
		}
		if (poll(p, 3, timeout) < 0 && errno != EINTR)
			die("poll");
		if (p[0].revents) {
			struct signalfd_siginfo s[8];
			if (read(sigfd, s, sizeof s) < 0 && errno != EAGAIN && errno != EINTR)
				die("signalfd");
		}
		// Commands the shim sent before it died come first.
		if (shim_sock >= 0 && p[2].revents) {
			command();
			continue;
		}
		if (shim_pidfd >= 0 && p[1].revents) {
			reap();
			forget_shim();
		}
	}
}

static void limits(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	// Best effort: without CAP_SYS_RESOURCE the inherited value stays.
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "-999", 4) < 0)
			errno = 0;
		close(fd);
	}
}

// keeper RUNDIR: descriptor 3 is the lock of the run directory. With a fourth argument PID an orphaned shim of that pid
// hands its files over on descriptor 4 and then ends.
static void keeper(int argc, char **argv)
{
	run_dir = argv[2];
	setsid();
	if (chdir("/") < 0)
		die("chdir /");
	prctl(PR_SET_NAME, "minato-keeper");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		die("subreaper");
	limits();
	fcntl(3, F_SETFD, FD_CLOEXEC);
	exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (exe_fd < 0)
		die("open own binary");
	open_ring();
	if (argc > 3) {
		shim_sock = 4;
		fcntl(4, F_SETFD, FD_CLOEXEC);
		shim_pid = atoi(argv[3]);
		shim_pidfd = syscall(SYS_pidfd_open, shim_pid, 0);
		if (shim_pidfd < 0)
			forget_shim();
		else
			started_at = now(CLOCK_MONOTONIC) - 2000000000;
	}
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	int sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigfd < 0)
		die("signalfd");
	loop(sigfd);
}

__attribute__((constructor)) static void keeper_entry(int argc, char **argv, char **envp)
{
	(void)envp;
	if (argc >= 3 && strcmp(argv[1], "keeper") == 0)
		keeper(argc, argv);
}
