// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Requests of programs that know nothing of them. One begins where a scheduled thread
 * gets something from a socket, or is told that there is something, and ends where it
 * asks for more. What poll() and its like or accept() have announced is one request with
 * what is read first after it. Attained service, deadlines and latencies count from there,
 * whether the thread slept or not. The scheduler is told of the end, too: a thread that waits
 * for its next request, or is woken for it, has had no service yet, however long its last was.
 */
#include <errno.h>

#include "preload.h"

void requests_open(struct receive *receive, void *(*find)(const char *name))
{
#define FIND(name)	(*(void **)&receive->name = find(#name))
	FIND(read);
	FIND(readv);
	FIND(recv);
	FIND(recvfrom);
	FIND(recvmsg);
	FIND(recvmmsg);
	FIND(accept);
	FIND(accept4);
	FIND(poll);
	FIND(ppoll);
	FIND(select);
	FIND(pselect);
	FIND(epoll_wait);
	FIND(epoll_pwait);
	FIND(epoll_pwait2);
#undef FIND
}

#define REAL(name)	(real_functions()->receive.name)

static bool is_socket(int fd)
{
	socklen_t length = sizeof(int);
	int type, error = errno;
	bool is = !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);

	errno = error;
	return is;
}

static void end_request(struct run_record *r)
{
	struct run_requests *all = &r->requests;
	uint64_t now, took;

	r->announced = false;
	if (!r->request_ns)
		return;
	umcg_sched_begin_request();
	now = umcg_get_time_ns();
	took = now - r->request_ns;
	r->request_ns = 0;
	all->count++;
	all->sum_ns += took;
	all->took[run_bucket(took)]++;
	if (took > all->longest_ns)
		all->longest_ns = took;
	if (settings.trace)
		event_put(&(const struct run_event){
			.time_ns = now, .arg = took, .tid = r->tid, .kind = RUN_EVENT_REQUEST,
		});
}

static void begin_request(struct run_record *r)
{
	r->request_ns = umcg_get_time_ns();
	if (r->deadline_us)
		umcg_sched_set_deadline(r->task, r->request_ns + r->deadline_us * 1000);
	umcg_sched_begin_request();
}

static inline struct run_record *scheduled(void)
{
	return self && self->scheduled ? self : NULL;
}

/* A call that takes something out of a socket: before it, and when it has got something. */
static void asks(struct run_record *r)
{
	if (r && !r->announced)
		end_request(r);
}

static void has_got(struct run_record *r, bool something)
{
	if (!r || !something)
		return;
	if (!r->announced)
		begin_request(r);
	r->announced = false;
}

/* A connection is there: what is read first from it is the same request. */
static void has_accepted(struct run_record *r, bool something)
{
	has_got(r, something);
	if (r && something)
		r->announced = true;
}

/* A call that says that there is something. */
static void watches(struct run_record *r)
{
	if (r)
		end_request(r);
}

static void is_told(struct run_record *r, bool something)
{
	if (!r || !something)
		return;
	begin_request(r);
	r->announced = true;
}

#define BY(before, after, type, good, who, call)	do {	\
		struct run_record *r_ = (who);			\
		type got_;					\
								\
		before(r_);					\
		got_ = (call);					\
		after(r_, got_ good);				\
		return got_;					\
	} while (0)
#define TAKES(type, good, who, call)	BY(asks, has_got, type, good, who, call)
#define TELLS(who, call)		BY(watches, is_told, int, > 0, who, call)

static struct run_record *on_socket(int fd)
{
	struct run_record *r = scheduled();

	return r && is_socket(fd) ? r : NULL;
}

/* Not const: glibc's headers say that poll() only writes there. */
static struct run_record *on_any(struct pollfd *fds, nfds_t count)
{
	struct run_record *r = scheduled();

	for (nfds_t i = 0; r && i < count; i++)
		if (fds[i].events & (POLLIN | POLLRDNORM) && is_socket(fds[i].fd))
			return r;
	return NULL;
}

static struct run_record *on_set(int count, const fd_set *in)
{
	struct run_record *r = scheduled();

	for (int fd = 0; r && in && fd < count; fd++)
		if (FD_ISSET(fd, in) && is_socket(fd))
			return r;
	return NULL;
}

PUBLIC ssize_t read(int fd, void *buffer, size_t size)
{
	TAKES(ssize_t, > 0, on_socket(fd), REAL(read)(fd, buffer, size));
}

PUBLIC ssize_t readv(int fd, const struct iovec *parts, int count)
{
	TAKES(ssize_t, > 0, on_socket(fd), REAL(readv)(fd, parts, count));
}

PUBLIC ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	TAKES(ssize_t, > 0, scheduled(), REAL(recv)(fd, buffer, size, flags));
}

PUBLIC ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
	TAKES(ssize_t, > 0, scheduled(), REAL(recvfrom)(fd, buffer, size, flags, from, length));
}

PUBLIC ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	TAKES(ssize_t, > 0, scheduled(), REAL(recvmsg)(fd, message, flags));
}

PUBLIC int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)
{
	TAKES(int, > 0, scheduled(), REAL(recvmmsg)(fd, messages, count, flags, timeout));
}

PUBLIC int accept(int fd, struct sockaddr *from, socklen_t *length)
{
	BY(asks, has_accepted, int, >= 0, scheduled(), REAL(accept)(fd, from, length));
}

PUBLIC int accept4(int fd, struct sockaddr *from, socklen_t *length, int flags)
{
	BY(asks, has_accepted, int, >= 0, scheduled(), REAL(accept4)(fd, from, length, flags));
}

PUBLIC int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	TELLS(on_any(fds, count), REAL(poll)(fds, count, timeout));
}

PUBLIC int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	TELLS(on_any(fds, count), REAL(ppoll)(fds, count, timeout, mask));
}

PUBLIC int select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	TELLS(on_set(count, in), REAL(select)(count, in, out, except, timeout));
}

PUBLIC int pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		   const sigset_t *mask)
{
	TELLS(on_set(count, in), REAL(pselect)(count, in, out, except, timeout, mask));
}

/* What an epoll watches it does not say. */
PUBLIC int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
	TELLS(scheduled(), REAL(epoll_wait)(fd, events, count, timeout));
}

PUBLIC int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
	TELLS(scheduled(), REAL(epoll_pwait)(fd, events, count, timeout, mask));
}

PUBLIC int epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout,
			const sigset_t *mask)
{
	TELLS(scheduled(), REAL(epoll_pwait2)(fd, events, count, timeout, mask));
}

/* As programs built with _FORTIFY_SOURCE call them; what glibc checks is checked here. */
_Noreturn void __chk_fail(void);
PUBLIC ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room);
PUBLIC ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags);
PUBLIC ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags, struct sockaddr *from,
			      socklen_t *length);
PUBLIC int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
PUBLIC int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
		       size_t room);

ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return read(fd, buffer, size);
}

ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags)
{
	if (size > room)
		__chk_fail();
	return recv(fd, buffer, size, flags);
}

ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags, struct sockaddr *from,
		       socklen_t *length)
{
	if (size > room)
		__chk_fail();
	return recvfrom(fd, buffer, size, flags, from, length);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
	if (room / sizeof(*fds) < count)
		__chk_fail();
	return poll(fds, count, timeout);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
		size_t room)
{
	if (room / sizeof(*fds) < count)
		__chk_fail();
	return ppoll(fds, count, timeout, mask);
}
