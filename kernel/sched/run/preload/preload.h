/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The library that umcg-run puts into a program: each thread the program makes is
 * scheduled by libumcg-sched. What must hold:
 *
 * - A thread that is scheduled may be taken off its server whatever it is doing: in
 *   malloc(), in stdio, in the loader, while it holds any lock of the program's.
 *   The scheduler's own threads wait for none of that. So they run code that is bound
 *   at start (-z now), has no TLS but the initial one, and takes memory from mmap().
 * - Nothing happens before the first thread: a program without threads, like a shell
 *   that has inherited LD_PRELOAD, is left alone.
 * - What a program can see of us is what it could see of a debugger: threads in /proc
 *   and variables in its environment. No handlers of signals, no descriptors, no children.
 * - No function of the program's is called with a lock of ours held.
 */
#ifndef UMCG_RUN_PRELOAD_H
#define UMCG_RUN_PRELOAD_H

#include "../rules.h"
#include "../shared.h"

#include <poll.h>
#include <threads.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PUBLIC	__attribute__((visibility("default")))

/* Where requests come from and how they are answered, see requests.c. */
struct transfer {
	ssize_t (*read)(int fd, void *buffer, size_t size);
	ssize_t (*readv)(int fd, const struct iovec *parts, int count);
	ssize_t (*recv)(int fd, void *buffer, size_t size, int flags);
	ssize_t (*recvfrom)(int fd, void *buffer, size_t size, int flags, struct sockaddr *from, socklen_t *length);
	ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
	int (*recvmmsg)(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout);
	int (*accept)(int fd, struct sockaddr *from, socklen_t *length);
	int (*accept4)(int fd, struct sockaddr *from, socklen_t *length, int flags);
	int (*poll)(struct pollfd *fds, nfds_t count, int timeout);
	int (*ppoll)(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
	int (*select)(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);
	int (*pselect)(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		       const sigset_t *mask);
	int (*epoll_wait)(int fd, struct epoll_event *events, int count, int timeout);
	int (*epoll_pwait)(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask);
	int (*epoll_pwait2)(int fd, struct epoll_event *events, int count, const struct timespec *timeout,
			    const sigset_t *mask);
	ssize_t (*write)(int fd, const void *buffer, size_t size);
	ssize_t (*writev)(int fd, const struct iovec *parts, int count);
	ssize_t (*send)(int fd, const void *buffer, size_t size, int flags);
	ssize_t (*sendto)(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *to, socklen_t length);
	ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
	int (*sendmmsg)(int fd, struct mmsghdr *messages, unsigned int count, int flags);
	ssize_t (*sendfile)(int to, int from, off_t *offset, size_t size);
};

/* What the program would have called. */
struct real {
	int (*create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
	int (*create_c11)(thrd_t *thread, thrd_start_t start, void *arg);
	int (*yield)(void);
	int (*set_name)(pthread_t thread, const char *name);
	int (*prctl)(int option, ...);
	int (*set_priority)(int which, id_t who, int nice);
	int (*nice)(int by);
	struct transfer transfer;
};

const struct real *real_functions(void);

/* settings.c: copied, as programs write over their environment. */
extern struct settings {
	uint32_t servers;
	bool main_too, trace, pass_on;
	char policy[RUN_PATH];
	char shared[RUN_PATH];	/* "": not read */
	struct rules rules;
} settings;

bool settings_read(void);	/* false: umcg-run has said nothing */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* records.c */
extern __thread struct run_record *self;	/* NULL: a thread that is none of the program's own making */
void records_open(void);
void records_begin_process(void);
void records_forked(void);
struct run_record *record_get(void);	/* NULL: no memory */
void record_put(struct run_record *record);
struct run_ring *records_ring(void);	/* NULL: events are not asked for */
struct run_record *record_of_thread(pthread_t thread);
struct run_record *record_of_tid(int32_t tid);

/* events.c */
void event_put(const struct run_event *event);
void event_decided(void *arg, const struct umcg_sched_event *event);

/* servers.c */
bool servers_are_up(void);
bool servers_ensure(void);		/* false: threads stay plain */
bool servers_enter(struct run_record *record);	/* the calling thread is scheduled from now on */
void servers_allow(void);		/* the settings are known */
void servers_forked(void);

/* threads.c */
void threads_open(void);
void threads_begin_main(void);		/* the main thread is to be scheduled */

/* requests.c */
void requests_open(struct transfer *transfer, void *(*find)(const char *name));

/* exec.c */
void exec_open(void);

/* classes.c */
void class_begin(struct run_record *record);
void class_renew(struct run_record *record);

#endif /* UMCG_RUN_PRELOAD_H */
