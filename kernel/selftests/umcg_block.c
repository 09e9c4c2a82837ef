// SPDX-License-Identifier: MIT
/* Block and wake detection in system calls; what is no block. */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w[16];
static int fds[2];
static uint32_t word;
static pid_t child;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* One way to block, and how another task ends it. */
struct way {
	const char *name;
	void (*prepare)(void);
	void (*block)(void);
	void (*release)(void);
};

static void make_pipe(void) { CHECK_EQ(pipe(fds), 0); }
static void close_pipe(void) { close(fds[0]); close(fds[1]); }
static void read_one(void) { char c; CHECK_EQ(read(fds[0], &c, 1), 1); CHECK_EQ(c, 'x'); }
static void write_one(void) { CHECK_EQ(write(fds[1], "x", 1), 1); }

static void fill_pipe(void)
{
	char buf[4096] = { 0 };

	make_pipe();
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	while (write(fds[1], buf, sizeof(buf)) > 0)
		;
	fcntl(fds[1], F_SETFL, 0);
}

static void drain(void)
{
	char buf[8192];

	CHECK(read(fds[0], buf, sizeof(buf)) > 0);
}

static void poll_it(void)
{
	struct pollfd p = { .fd = fds[0], .events = POLLIN };

	CHECK_EQ(poll(&p, 1, -1), 1);
}

static void make_sockets(void) { CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0); }
static void make_event(void) { fds[0] = eventfd(0, 0); fds[1] = dup(fds[0]); }
static void read_event(void) { eventfd_t v; CHECK_EQ(eventfd_read(fds[0], &v), 0); }
static void write_event(void) { CHECK_EQ(eventfd_write(fds[1], 1), 0); }

static void futex_prepare(void)
{
	word = 0;
	make_pipe();
}

static void futex_wait(void)
{
	CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), 0);
}

static void futex_wake(void)
{
	CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
}

static void mutex_prepare(void) { make_pipe(); pthread_mutex_lock(&mutex); }
static void mutex_block(void) { pthread_mutex_lock(&mutex); pthread_mutex_unlock(&mutex); }
static void mutex_release(void) { pthread_mutex_unlock(&mutex); }

static void child_prepare(void)
{
	make_pipe();
	child = fork();
	if (!child) {
		read_one();
		_exit(7);
	}
}

static void child_block(void)
{
	int status;

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 7);
}

static void flock_prepare(void)
{
	make_pipe();
	close(fds[0]);
	close(fds[1]);
	fds[0] = open("/proc/self/exe", O_RDONLY);
	fds[1] = open("/proc/self/exe", O_RDONLY);
	CHECK_EQ(flock(fds[1], LOCK_EX), 0);
}

static void flock_block(void) { CHECK_EQ(flock(fds[0], LOCK_EX), 0); }
static void flock_release(void) { CHECK_EQ(flock(fds[1], LOCK_UN), 0); }
static void sleep_block(void) { nap(50 * NS_PER_MS); }
static void nothing(void) { }

static const struct way ways[] = {
	{ "pipe read", make_pipe, read_one, write_one },
	{ "pipe write", fill_pipe, write_one, drain },
	{ "poll", make_pipe, poll_it, write_one },
	{ "socket", make_sockets, read_one, write_one },
	{ "eventfd", make_event, read_event, write_event },
	{ "futex", futex_prepare, futex_wait, futex_wake },
	{ "pthread mutex", mutex_prepare, mutex_block, mutex_release },
	{ "waitpid", child_prepare, child_block, write_one },
	{ "flock", flock_prepare, flock_block, flock_release },
	{ "nanosleep", make_pipe, sleep_block, nothing },
};

#define USER(x)	((x) & USER_BITS)

static void do_way(struct worker *self)
{
	const struct way *way = self->arg;

	state_set(&self->rec, RUNNING, RUNNING | USER_BITS);
	way->block();
	/* The task that ran us has cleared the bits; that is user space's affair. */
	CHECK_STATE(&self->rec, RUNNING);
	self->count = 1;
}

static void each_way(void)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		raw_note(ways[i].name);
		ways[i].prepare();
		worker_start(&w[0], &pool, do_way, (void *)&ways[i]);
		server_expect(&s, &w[0]);
		/* A first touch of a page may be contended: no block of ours. */
		do {
			server_run(&s, &w[0]);
		} while (worker_on_list(&w[0]) && ways[i].release != nothing &&
			 server_expect(&s, &w[0]));
		if (ways[i].release != nothing) {
			CHECK_STATE(&w[0].rec, BLOCKED | USER_BITS);
			WAIT_FOR(asleep(w[0].tid));
			CHECK_EQ(w[0].rec.next_tid, s.tid);
			CHECK_EQ(pool.head, 0);
			ways[i].release();
		}
		server_expect(&s, &w[0]);
		CHECK_STATE(&w[0].rec, IDLE | USER_BITS);
		/* It comes no further than the border until it is run. */
		usleep(2000);
		CHECK_EQ(w[0].count, 0);
		CHECK_EQ(server_run_through(&s, &w[0]), NONE);
		CHECK_EQ(w[0].count, 1);
		worker_join(&w[0]);
		pool.live--;
		close_pipe();
	}
}

/* System calls that do not sleep leave the word alone, timestamp and all. */
static void no_block(struct worker *self)
{
	uint64_t before = __atomic_load_n(&self->rec.state_ts, __ATOMIC_SEQ_CST);

	for (int i = 0; i < 200; i++) {
		getppid();
		sched_yield();
		write_one();
		read_one();
	}
	/* A competitor on this CPU: descheduled, but runnable all the time. */
	for (uint64_t t = now_ns(CLOCK_MONOTONIC); now_ns(CLOCK_MONOTONIC) < t + 30 * NS_PER_MS;)
		;
	CHECK_EQ(__atomic_load_n(&self->rec.state_ts, __ATOMIC_SEQ_CST), before);
}

static bool stop;

static void *hog(void *arg)
{
	(void)arg;
	pin(0, 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	return NULL;
}

static void what_is_no_block(void)
{
	pthread_t t = spawn(hog, NULL);

	make_pipe();
	worker_start(&w[0], &pool, no_block, NULL);
	server_expect(&s, &w[0]);
	pin(w[0].tid, 0);
	CHECK_EQ(server_run_through(&s, &w[0]), NONE);
	worker_join(&w[0]);
	pool.live--;
	stop = true;
	join(t);
	close_pipe();
}

/* LOCKED or already IDLE: user space is in a transition, the hooks keep out. */
static void locked(struct worker *self)
{
	state_set(&self->rec, RUNNING, RUNNING | LOCKED);
	nap(5 * NS_PER_MS);
	CHECK_STATE(&self->rec, RUNNING | LOCKED);
	CHECK_STATE(&s.rec, IDLE);
	state_set(&self->rec, RUNNING | LOCKED, IDLE | LOCKED);
	nap(5 * NS_PER_MS);
	CHECK_STATE(&self->rec, IDLE | LOCKED);
	CHECK_STATE(&s.rec, IDLE);
	state_set(&self->rec, IDLE | LOCKED, IDLE);
	nap(5 * NS_PER_MS);
	CHECK_STATE(&self->rec, IDLE);
	CHECK_STATE(&s.rec, IDLE);
	state_set(&self->rec, IDLE, RUNNING);
	CHECK_EQ(pool.head, 0);
	self->count = 1;
}

static void hooks_keep_out(void)
{
	worker_start(&w[0], &pool, locked, NULL);
	server_expect(&s, &w[0]);
	CHECK_EQ(server_run_through(&s, &w[0]), NONE);
	CHECK_EQ(w[0].count, 1);
	worker_join(&w[0]);
	pool.live--;
}

/* Many workers in one pipe: every token is passed on, no task is forgotten. */
static void pass(struct worker *self)
{
	for (self->count = 0; self->count < 50; self->count++) {
		read_one();
		write_one();
	}
}

static void crowd(void)
{
	make_pipe();
	write_one();
	for (int i = 0; i < 16; i++)
		worker_start(&w[i], &pool, pass, NULL);
	server_loop(&s);
	CHECK_EQ(pool.live, 0);
	CHECK_EQ(s.ends, 16);
	for (int i = 0; i < 16; i++) {
		CHECK_EQ(w[i].count, 50);
		worker_join(&w[i]);
	}
	close_pipe();
}

int main(void)
{
	raw_start();
	server_register(&s, &pool);
	RUN(each_way);
	RUN(what_is_no_block);
	RUN(hooks_keep_out);
	RUN(crowd);
	server_unregister(&s);
	return 0;
}
