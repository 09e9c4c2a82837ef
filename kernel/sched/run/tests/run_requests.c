// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Where requests begin and end, whatever they come by; and the trace, which has them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "same.h"

#define REQUESTS	10
#define WORK_MS		2	/* of each, at least */

static struct same_result result;
static int ends[2];	/* the server's, the client's */

/* ---- ways to get a request; 0 at the end ---- */

static ssize_t by_read(int fd, char *c)
{
	return read(fd, c, 1);
}

static ssize_t by_readv(int fd, char *c)
{
	return readv(fd, &(struct iovec){ c, 1 }, 1);
}

static ssize_t by_recv(int fd, char *c)
{
	return recv(fd, c, 1, 0);
}

static ssize_t by_recvfrom(int fd, char *c)
{
	return recvfrom(fd, c, 1, 0, NULL, NULL);
}

static ssize_t by_recvmsg(int fd, char *c)
{
	struct iovec part = { c, 1 };

	return recvmsg(fd, &(struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 }, 0);
}

static ssize_t by_poll(int fd, char *c)
{
	ssize_t n = recv(fd, c, 1, MSG_DONTWAIT);

	if (n >= 0)
		return n;
	MUST(errno == EAGAIN && poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1) == 1);
	return recv(fd, c, 1, MSG_DONTWAIT);
}

/* A length, then so much: one request of two parts. */
static ssize_t by_parts(int fd, char *c)
{
	char part;
	ssize_t n = recv(fd, &part, 1, 0);

	return n > 0 ? recv(fd, c, 1, 0) : n;
}

static ssize_t by_select(int fd, char *c)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	MUST(select(fd + 1, &in, NULL, NULL, NULL) == 1);
	return read(fd, c, 1);
}

static ssize_t by_epoll(int fd, char *c)
{
	static int set = -1;
	struct epoll_event event = { .events = EPOLLIN };

	if (set < 0) {
		set = epoll_create1(EPOLL_CLOEXEC);
		MUST(set >= 0 && !epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	}
	MUST(epoll_wait(set, &event, 1, -1) == 1);
	MUST(recv(fd, c, 1, MSG_DONTWAIT) >= 0);
	/* Servers look until nothing is left: that is no request more. */
	return recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT) ? 1 : 0;
}

static const struct {
	const char *name;
	ssize_t (*get)(int fd, char *c);
} ways[] = {
	{ "read", by_read }, { "readv", by_readv }, { "recv", by_recv }, { "recvfrom", by_recvfrom },
	{ "recvmsg", by_recvmsg }, { "poll", by_poll }, { "select", by_select }, { "epoll", by_epoll },
	{ "parts", by_parts },
};
#define WAYS	(sizeof(ways) / sizeof(*ways))

static ssize_t (*way)(int fd, char *c);

static void *serve(void *arg)
{
	char c;

	pthread_setname_np(pthread_self(), "serves");
	while (way(ends[0], &c) > 0) {
		/* It is what a request takes, whatever is read before it. */
		MUST(!usleep(WORK_MS * 1000));
		MUST(write(ends[0], "", 1) == 1);
	}
	return arg;
}

/* One thread asks another; each answer is waited for. */
static int talk(const char *name)
{
	pthread_t thread;
	char c;

	for (size_t i = 0; i < WAYS; i++)
		if (!strcmp(name, ways[i].name))
			way = ways[i].get;
	MUST(way && !socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	MUST(!pthread_create(&thread, NULL, serve, NULL));
	for (int i = 0; i < REQUESTS; i++)
		MUST(write(ends[1], "1+", 1 + (way == by_parts)) > 0 && read(ends[1], &c, 1) == 1);
	shutdown(ends[1], SHUT_WR);
	pthread_join(thread, NULL);
	return 0;
}

/* One that never answers: it has to wait for each. */
static struct {
	atomic_int tid, heard;
} listener;

static void *listens(void *arg)
{
	char c;

	atomic_store(&listener.tid, (int)syscall(SYS_gettid));
	while (recv(ends[0], &c, 1, 0) == 1)
		atomic_fetch_add(&listener.heard, 1);
	return arg;
}

/* Has it got so many, and is it asleep in its next call? */
static bool waits_for_more(int heard)
{
	char path[64], number[16] = "";
	int fd;

	if (!atomic_load(&listener.tid) || atomic_load(&listener.heard) != heard)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&listener.tid));
	fd = open(path, O_RDONLY);
	MUST(fd >= 0 && read(fd, number, sizeof(number) - 1) > 0);
	close(fd);
	return number[0] != 'r' && atol(number) == SYS_recvfrom;
}

static int unanswered(void)
{
	pthread_t thread;

	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends) && !pthread_create(&thread, NULL, listens, NULL));
	for (int i = 0; i < REQUESTS; i++) {
		while (!waits_for_more(i))
			usleep(200);
		MUST(write(ends[1], "", 1) == 1);
	}
	shutdown(ends[1], SHUT_WR);
	pthread_join(thread, NULL);
	return 0;
}

/* Two connections are read, and only then answered: two requests. */
static void *reads_both(void *arg)
{
	int *fds = arg;
	char c;

	for (int i = 0; i < REQUESTS / 2; i++) {
		for (int k = 0; k < 2; k++)
			MUST(recv(fds[2 * k], &c, 1, 0) == 1);
		for (int k = 0; k < 2; k++)
			MUST(send(fds[2 * k], "", 1, 0) == 1);
	}
	poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 0);
	return arg;
}

static int both(void)
{
	int fds[4];
	pthread_t thread;
	char c;

	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds) && !socketpair(AF_UNIX, SOCK_STREAM, 0, fds + 2));
	MUST(!pthread_create(&thread, NULL, reads_both, fds));
	for (int i = 0; i < REQUESTS / 2; i++) {
		for (int k = 0; k < 2; k++)
			MUST(write(fds[2 * k + 1], "", 1) == 1);
		for (int k = 0; k < 2; k++)
			MUST(read(fds[2 * k + 1], &c, 1) == 1);
	}
	pthread_join(thread, NULL);
	return 0;
}

/* A pipe is no socket. */
static void *reads_pipe(void *arg)
{
	char c;

	while (read(ends[0], &c, 1) == 1)
		;
	return arg;
}

static int pipes(void)
{
	pthread_t thread;

	MUST(!pipe(ends) && !pthread_create(&thread, NULL, reads_pipe, NULL));
	for (int i = 0; i < REQUESTS; i++)
		MUST(write(ends[1], "", 1) == 1);
	close(ends[1]);
	pthread_join(thread, NULL);
	return 0;
}

/* A connection with what is read first from it is one request. */
static void *accepts(void *arg)
{
	char c;

	for (int i = 0; i < REQUESTS; i++) {
		int fd = accept(ends[0], NULL, NULL);

		MUST(fd >= 0 && read(fd, &c, 1) == 1 && write(fd, "", 1) == 1);
		close(fd);
	}
	poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1, 0);
	return arg;
}

static int connections(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(name);
	pthread_t thread;
	char c;

	ends[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	/* An abstract name that the kernel chooses. */
	MUST(!bind(ends[0], (struct sockaddr *)&name, sizeof(name.sun_family)) && !listen(ends[0], 5));
	MUST(!getsockname(ends[0], (struct sockaddr *)&name, &length));
	MUST(!pthread_create(&thread, NULL, accepts, NULL));
	for (int i = 0; i < REQUESTS; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		MUST(!connect(fd, (struct sockaddr *)&name, length) && write(fd, "", 1) == 1 && read(fd, &c, 1) == 1);
		close(fd);
	}
	pthread_join(thread, NULL);
	return 0;
}

/* ---- what umcg-run says of them ---- */

static void under(const char *option, const char *program)
{
	char *argv[] = { (char *)same_umcg_run(), (char *)option, "/proc/self/exe", (char *)program, NULL };
	char me[4096];
	ssize_t n = readlink("/proc/self/exe", me, sizeof(me) - 1);

	MUST(n > 0);
	me[n] = 0;
	argv[2] = me;
	same_start(argv, &result);
}

/* So many requests, each of which takes so long. */
static void wants(const char *program, int count, double ms)
{
	char text[64], *found;

	under("--stats", program);
	snprintf(text, sizeof(text), "requests of class 0: %d, mean", count);
	found = strstr(result.out, count ? text : "requests of");
	if (result.status || !!count != !!found || (count && atof(found + strlen(text)) < ms)) {
		printf("%s: status %#x, not \"%s\" of %g ms at least in\n%s", program, (unsigned int)result.status,
		       text, ms, result.out);
		exit(1);
	}
}

static char *slurp(const char *path)
{
	static char text[4 << 20];
	int fd = open(path, O_RDONLY);
	size_t had = 0;
	ssize_t n;

	MUST(fd >= 0);
	while ((n = read(fd, text + had, sizeof(text) - 1 - had)) > 0)
		had += (size_t)n;
	close(fd);
	text[had] = 0;
	return text;
}

static int count_of(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Each turn of a thread ends, each request is there, and each name; killed, what was before is there. */
static void trace(void)
{
	char path[] = "/tmp/umcg-trace-XXXXXX", option[64];
	int fd = mkstemp(path), ended;
	char *text;

	MUST(fd >= 0);
	close(fd);
	snprintf(option, sizeof(option), "--trace=%s", path);
	under(option, "recv");
	MUST(!result.status && !result.out[0]);
	text = slurp(path);
	MUST(!strncmp(text, "#umcg-run trace 1;", 18));
	MUST(count_of(text, "\trequest\t") == REQUESTS && count_of(text, "\tready\tnew\t") == 1);
	/* Joined, the thread has ended, but the process may end before its server has seen that. */
	ended = count_of(text, "\tstop\tended\t");
	MUST(ended <= 1 && count_of(text, "\trun\t") == count_of(text, "\tstop\t") + 1 - ended);
	MUST(strstr(text, "\t0 lost\n") && strstr(text, "\tserves\n"));
	under(option, "killed");
	MUST(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGKILL);
	text = slurp(path);
	MUST(count_of(text, "\trequest\t") == REQUESTS && strstr(text, "\t0 lost\n"));
	unlink(path);
	under("--trace=/nowhere/file", "recv");
	MUST(WEXITSTATUS(result.status) == 2 && strstr(result.out, "/nowhere/file"));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "pipes"))
		return pipes();
	if (argc > 1 && !strcmp(argv[1], "unanswered"))
		return unanswered();
	if (argc > 1 && !strcmp(argv[1], "both"))
		return both();
	if (argc > 1 && !strcmp(argv[1], "connections"))
		return connections();
	if (argc > 1 && !strcmp(argv[1], "killed"))
		return talk("recv") || kill(getpid(), SIGKILL);
	if (argc > 1)
		return talk(argv[1]);
	for (size_t i = 0; i < WAYS; i++)
		wants(ways[i].name, REQUESTS, WORK_MS);
	wants("unanswered", REQUESTS, 0);
	wants("both", REQUESTS, 0);
	wants("pipes", 0, 0);
	wants("connections", REQUESTS, 0);
	trace();
	puts("all requests are seen");
	return 0;
}
