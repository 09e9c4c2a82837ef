// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Requests of programs that know nothing of them. One begins where a scheduled thread
 * gets something from a socket, or is told that there is something. What it reads next from
 * the same socket without having to wait is the rest of it: many read a length, then so much.
 * It ends where the thread asks for more and has sent something meanwhile, or has to wait, or
 * asks elsewhere. What poll() and its like or accept() have announced is one request with
 * what is read first after it. Attained service, deadlines and latencies count from there,
 * whether the thread slept or not. The scheduler is told of the end, too: a thread that waits
 * for its next request, or is woken for it, has had no service yet, however long its last was.
 */
#include <errno.h>
#include <sys/sendfile.h>

#include "preload.h"

void requests_open(struct transfer *transfer, void *(*find)(const char *name))
{
#define FIND(name)	(*(void **)&transfer->name = find(#name))
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
	FIND(write);
	FIND(writev);
	FIND(send);
	FIND(sendto);
	FIND(sendmsg);
	FIND(sendmmsg);
	FIND(sendfile);
#undef FIND
}

#define REAL(name)	(real_functions()->transfer.name)

static bool is_socket(int fd)
{
	socklen_t length = sizeof(int);
	int type, error = errno;
	bool is = !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);

	errno = error;
	return is;
}

static void end_request(struct run_record *r, uint64_t now)
{
	struct run_requests *all = &r->requests;
	uint64_t took;

	r->announced = false;
	if (!r->request_ns)
		return;
	umcg_sched_begin_request();
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

static void begin_request(struct run_record *r, uint64_t now)
{
	r->request_ns = now;
	r->answered = false;
	if (r->deadline_us)
		umcg_sched_set_deadline(r->task, now + r->deadline_us * 1000);
}

/* It begins after a wait, so the scheduler is told once more. */
static void begin_request_now(struct run_record *r)
{
	begin_request(r, umcg_get_time_ns());
	umcg_sched_begin_request();
}

static inline struct run_record *scheduled(void)
{
	return self && self->scheduled ? self : NULL;
}

/* A call that takes something out of a socket: before it. */
static void asks(struct run_record *r, int fd)
{
	if (!r || r->announced)
		return;
	r->asked_ns = umcg_get_time_ns();
	r->asked_stamp = umcg_get_task_stamp(r->task);
	if (!r->request_ns)
		umcg_sched_begin_request();
	else if (r->answered || r->request_fd != fd)
		end_request(r, r->asked_ns);
}

/* After it: @got something; 0 or less: nothing, at its end or for an error. */
static void has_got(struct run_record *r, int fd, ssize_t got)
{
	if (!r)
		return;
	if (r->announced) {
		r->announced = got <= 0;
	} else if (got <= 0) {
		/* Many look until nothing is left before they answer. */
		if (!got || errno != EAGAIN)
			end_request(r, r->asked_ns);
	} else if (umcg_get_task_stamp(r->task) != r->asked_stamp) {
		/* It has waited: for what is the next one's. */
		end_request(r, r->asked_ns);
		begin_request_now(r);
	} else if (!r->request_ns) {
		begin_request(r, r->asked_ns);
	}
	r->request_fd = fd;
}

/* A connection is there: what is read first from it is the same request. */
static void has_accepted(struct run_record *r, int fd, ssize_t got)
{
	has_got(r, fd, got < 0 ? got : 1);
	if (r && got >= 0)
		r->announced = true;
}

/* A call that says that there is something. */
static void watches(struct run_record *r, int fd)
{
	(void)fd;
	if (r && r->request_ns)
		end_request(r, umcg_get_time_ns());
}

static void is_told(struct run_record *r, int fd, int count)
{
	if (!r || count <= 0)
		return;
	begin_request_now(r);
	r->request_fd = fd;
	r->announced = true;
}

#define BY(before, after, type, fd, who, call)	do {	\
		struct run_record *r_ = (who);		\
		type got_;				\
							\
		before(r_, fd);				\
		got_ = (call);				\
		after(r_, fd, got_);			\
		return got_;				\
	} while (0)
#define TAKES(type, who, call)	BY(asks, has_got, type, fd, who, call)
/* From which of several is not known before it is read. */
#define TELLS(who, call)	BY(watches, is_told, int, -1, who, call)

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
	TAKES(ssize_t, on_socket(fd), REAL(read)(fd, buffer, size));
}

PUBLIC ssize_t readv(int fd, const struct iovec *parts, int count)
{
	TAKES(ssize_t, on_socket(fd), REAL(readv)(fd, parts, count));
}

PUBLIC ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	TAKES(ssize_t, scheduled(), REAL(recv)(fd, buffer, size, flags));
}

PUBLIC ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
	TAKES(ssize_t, scheduled(), REAL(recvfrom)(fd, buffer, size, flags, from, length));
}

PUBLIC ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	TAKES(ssize_t, scheduled(), REAL(recvmsg)(fd, message, flags));
}

PUBLIC int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)
{
	TAKES(int, scheduled(), REAL(recvmmsg)(fd, messages, count, flags, timeout));
}

PUBLIC int accept(int fd, struct sockaddr *from, socklen_t *length)
{
	BY(asks, has_accepted, int, fd, scheduled(), REAL(accept)(fd, from, length));
}

PUBLIC int accept4(int fd, struct sockaddr *from, socklen_t *length, int flags)
{
	BY(asks, has_accepted, int, fd, scheduled(), REAL(accept4)(fd, from, length, flags));
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

/* ---- what answers; sockets are not told from the rest, as nothing else is read in a request's midst ---- */

static void answers(void)
{
	if (self)
		self->answered = true;
}

#define SENDS(call)	do { answers(); return (call); } while (0)

PUBLIC ssize_t write(int fd, const void *buffer, size_t size)
{
	SENDS(REAL(write)(fd, buffer, size));
}

PUBLIC ssize_t writev(int fd, const struct iovec *parts, int count)
{
	SENDS(REAL(writev)(fd, parts, count));
}

PUBLIC ssize_t send(int fd, const void *buffer, size_t size, int flags)
{
	SENDS(REAL(send)(fd, buffer, size, flags));
}

PUBLIC ssize_t sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
	SENDS(REAL(sendto)(fd, buffer, size, flags, to, length));
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	SENDS(REAL(sendmsg)(fd, message, flags));
}

PUBLIC int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	SENDS(REAL(sendmmsg)(fd, messages, count, flags));
}

PUBLIC ssize_t sendfile(int to, int from, off_t *offset, size_t size)
{
	SENDS(REAL(sendfile)(to, from, offset, size));
}

/* Programs with a 64-bit off_t call it so; on x86-64 it is the same. */
PUBLIC ssize_t sendfile64(int to, int from, off64_t *offset, size_t size)
{
	SENDS(REAL(sendfile)(to, from, offset, size));
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
