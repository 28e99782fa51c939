// The door: a process that waits beside the shim and splits into a clerk (enter.c) for each container to build or enter. A
// clerk born of it needs no exec of a program and no start of the C library, which are a good part of what an exec probe costs.
//
// It is started with the first order and ends when the shim ends or has had none for a minute; it knows no container, holds no
// file but its socket, and what it becomes in a container has no memory of another order. It is the keeper's child, as
// clerks' children are. internal/shim/supervisor/door.go is its other side.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "inside.h"

#define OWN_FD 100  // out of the way of what comes with an order
#define FIRST_FD 3  // where that begins: request, lock, pidfd, answer, and the streams that there are
#define FIXED_FDS 4
#define IDLE_SECONDS 60

enum { BUILDS = 8 }; // beside a bit for each stream

// An order: flags, and the directory for the result of a build, which fills the rest.
struct order {
	uint32_t flags;
	char dir[4096];
};

static void become_clerk(const struct order *o)
{
	struct sigaction plain;
	memset(&plain, 0, sizeof plain);
	plain.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &plain, NULL); // its children are to be waited for
	close(OWN_FD);
	int next = FIRST_FD + FIXED_FDS;
	for (int i = 0; i < 3; i++) {
		if (!(o->flags >> i & 1))
			continue; // what the door has itself: /dev/null
		if (dup2(next, i) < 0)
			_exit(1);
		close(next++);
	}
	clerk(o->dir, o->flags & BUILDS, FIRST_FD + 3);
}

// take returns how many descriptors came with the message; they are the lowest that were free, in order.
static int take(struct msghdr *m)
{
	int n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			n += (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	return n;
}

// obey takes one order; it returns 0 where there is none.
static int obey(int flags)
{
	static struct order o;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE((FIXED_FDS + 3) * sizeof(int))];
	} control;
	struct iovec iov = {&o, sizeof o - 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n;
	do
		n = recvmsg(OWN_FD, &m, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	((char *)&o)[n] = 0;
	int fds = take(&m), wanted = FIXED_FDS + __builtin_popcount(o.flags & 7);
	if (n >= (ssize_t)sizeof o.flags && fds == wanted && fork() == 0)
		become_clerk(&o);
	syscall(SYS_close_range, FIRST_FD, OWN_FD - 1, 0); // where nobody has them, the answer is that there is none
	return 1;
}

static void door(void)
{
	if (fork() != 0) // the keeper is to be its parent
		_exit(0);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	struct sigaction forget;
	memset(&forget, 0, sizeof forget);
	forget.sa_handler = SIG_DFL;
	forget.sa_flags = SA_NOCLDWAIT;
	struct timeval idle = {.tv_sec = IDLE_SECONDS};
	int32_t own = getpid();
	if (setsid() < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || sigaction(SIGCHLD, &forget, NULL) < 0 ||
	    fcntl(FIRST_FD, F_DUPFD_CLOEXEC, OWN_FD) != OWN_FD || syscall(SYS_close_range, FIRST_FD, OWN_FD - 1, 0) < 0 ||
	    setsockopt(OWN_FD, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle) < 0 || send(OWN_FD, &own, sizeof own, MSG_NOSIGNAL) < 0)
		_exit(1);
	prctl(PR_SET_NAME, "minato-door");
	while (obey(0))
		;
	// Who has an order from now on is refused and starts another door; what came before is obeyed.
	shutdown(OWN_FD, SHUT_RD);
	while (obey(MSG_DONTWAIT))
		;
	_exit(0);
}

__attribute__((constructor)) static void door_entry(int argc, char **argv, char **envp)
{
	(void)envp;
	if (argc == 3 && strcmp(argv[1], "door") == 0)
		door();
}
