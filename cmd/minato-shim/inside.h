// What enter.c, which puts processes into containers, and build.c, which makes containers' file systems, have in common.
#ifndef INSIDE_H
#define INSIDE_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

#define REQUEST_FD 3 // a file that holds the request
#define LOCK_FD 4    // a locked file; the lock ends with the clerk
#define PIDFD 5      // of the container's first process, where there is one already
#define ENTRY_MAGIC 0x316e746d

enum { NO_NEW_PRIVS = 1, OWN_KEYRING = 2, UNIFIED = 4, SET_HOME = 8 };

// A request: this head, then groups (padded to 8 bytes), limits, filter, steps, and strings that end with a zero byte:
// the container's id, the working directory, the file of each cgroup that a process joins it by, arguments, environment; for a new container
// also its root, the fifo that it waits at (empty: it does not wait), the path of each namespace that it joins, and four strings for each step.
struct head {
	uint32_t magic, size;
	uint32_t namespaces, flags;
	uint32_t uid, gid;
	int32_t oom_score;
	uint32_t seccomp_flags;
	uint64_t bounding, effective, permitted, inheritable, ambient;
	uint32_t groups, limits, filter, cgroups, args, env;
	// Of a new container; the namespaces above are then those that are made for it.
	uint32_t joins, steps, root_propagation, pad;
};

struct limit {
	uint64_t resource, soft, hard;
};

// A step towards the root file system of a new container. Which fields matter is said in build.c.
struct step {
	uint32_t kind, flags;
	uint64_t attr_set, attr_clr, rec_set, rec_clr;
	uint32_t propagation[4];
	uint32_t mode, uid, gid, pad;
	uint64_t dev;
};

struct request {
	struct head *h;
	gid_t *groups;
	struct limit *limits;
	struct sock_filter *filter;
	struct step *steps;
	char *id, *cwd, **cgroups, **args, **env, *path;
	char *root, *fifo, **joins, **step_strings;
};

// fail reports to the clerk why the container or process cannot be, unfit that libcontainer must do it. Neither returns.
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void unfit(const char *format, ...);

// why says an error in the words of Go's programs.
const char *why(int error);

// build_root makes the root file system of a new container, in its own namespaces, and moves into it. Where there is a fifo to
// wait at it returns an open proc file system of the container's that nobody else sees.
int build_root(struct request *r);

// clerk does what the request says, records what became of it and tells the shim by a socket. making: the container is to be
// made, and the record is a file in dir; else it is a line added to the locked file. It does not return.
#define CLERK_SECONDS 120 // after which it is stuck
__attribute__((noreturn)) void clerk(const char *dir, int making, int shim);

#endif
