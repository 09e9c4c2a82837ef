// SPDX-License-Identifier: MIT
/* Preemption by umcg_kick and by tgkill; what may not be kicked. */
#include <signal.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w;
static bool stop, by_signal;
static volatile long handled, sent;
static int fds[2];

static void on_usr1(int sig)
{
	(void)sig;
	handled++;
}

/* The watchdog, an ordinary thread: preempts @w each time it has come on. */
static void *watchdog(void *arg)
{
	long seen = -1;

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		/* Pending signals merge: let each be handled before the next. */
		if (w.count == seen || handled != sent || !worker_mark(&w)) {
			usleep(100);
			continue;
		}
		seen = w.count;
		if (by_signal) {
			sent++;
			CHECK_EQ(syscall(SYS_tgkill, getpid(), w.tid, SIGUSR1), 0);
		} else {
			int r = sys_kick(0, w.tid);

			/* It may have found the mark itself, in a system call. */
			CHECK(r == 0 || r == -EAGAIN);
		}
	}
	return NULL;
}

static void spin(struct worker *self)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		self->count++;
}

static void spin_in_kernel(struct worker *self)
{
	static char buf[1 << 20];
	int zero = open("/dev/zero", O_RDONLY);

	CHECK(zero >= 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		CHECK(read(zero, buf, sizeof(buf)) > 0);	/* a signal cuts it short */
		self->count++;
	}
	close(zero);
}

static void *hog(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	return NULL;
}

/* @rounds preemptions of a worker that does @fn on a CPU with @hogs others. */
static void preemptions(void (*fn)(struct worker *), int hogs, long rounds)
{
	pthread_t dog, hog_thread[2];
	long n = 0;

	stop = false;
	worker_start(&w, &pool, fn, NULL);
	server_expect(&s, &w);
	pin(w.tid, 1);
	for (int i = 0; i < hogs; i++) {
		hog_thread[i] = spawn(hog, NULL);
		pin_thread(hog_thread[i], 1);
	}
	dog = spawn(watchdog, NULL);
	while (n < rounds) {
		uint32_t st = server_run_through(&s, &w);

		/* Not on the list, and the mark is for user space to clear. */
		CHECK_EQ(st, IDLE | PREEMPTED);
		CHECK(!worker_on_list(&w));
		CHECK_EQ(pool.head, 0);
		n++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	join(dog);
	while (server_run_through(&s, &w) != NONE)
		;
	for (int i = 0; i < hogs; i++)
		join(hog_thread[i]);
	worker_join(&w);
	pool.live--;
}

static void kick_alone(void) { preemptions(spin, 0, 100); }
static void kick_among_hogs(void) { preemptions(spin, 2, 10); }
static void kick_in_kernel(void) { preemptions(spin_in_kernel, 0, 30); }

/* Revision 0.8's way. The handler runs too, each time. */
static void signals(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };

	sigaction(SIGUSR1, &sa, NULL);
	by_signal = true;
	preemptions(spin, 0, 50);
	preemptions(spin_in_kernel, 0, 10);
	preemptions(spin, 1, 5);
	CHECK(sent >= 65);
	CHECK_EQ(handled, sent);
	by_signal = false;
}

static void read_once(struct worker *self)
{
	char c;

	/* Wait for the mark in user mode, then block with it. */
	while (state_of(&self->rec) == RUNNING)
		self->count = 1;
	CHECK_EQ(read(fds[0], &c, 1), 1);
	self->count = 2;
}

static void *mark(void *arg)
{
	(void)arg;
	WAIT_FOR(w.count == 1);
	CHECK(worker_mark(&w));
	return NULL;
}

/* EAGAIN for all but RUNNING|PREEMPTED; and preemption of one that blocks. */
static void not_running(void)
{
	pthread_t t;
	uint32_t st;

	CHECK_EQ(pipe(fds), 0);
	worker_start(&w, &pool, read_once, NULL);
	server_expect(&s, &w);
	CHECK_EQ(sys_kick(0, w.tid), -EAGAIN);		/* IDLE */
	CHECK_EQ(sys_kick(1, w.tid), -EINVAL);
	t = spawn(mark, NULL);
	server_run(&s, &w);
	join(t);
	/* It blocked first, or the system call's border saw the mark. */
	st = state_of(&w.rec);
	if (st == (IDLE | PREEMPTED)) {
		CHECK_EQ(sys_kick(0, w.tid), -EAGAIN);
		server_run(&s, &w);
		CHECK_STATE(&w.rec, BLOCKED);
	} else {
		CHECK_STATE(&w.rec, BLOCKED | PREEMPTED);
	}
	CHECK_EQ(sys_kick(0, w.tid), -EAGAIN);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	server_expect(&s, &w);
	CHECK_STATE(&w.rec, IDLE);	/* waking has cleared the mark */
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 2);
	worker_join(&w);
	/* Gone, and never a worker. */
	CHECK_EQ(sys_kick(0, w.tid), -ESRCH);
	CHECK_EQ(sys_kick(0, s.tid), -ESRCH);
	close(fds[0]);
	close(fds[1]);
	pool.live--;
}

static void kick_self(struct worker *self)
{
	/* RUNNING, but no task asked: no. */
	CHECK_EQ(sys_kick(0, self->tid), -EAGAIN);
	CHECK_STATE(&self->rec, RUNNING);
	CHECK(worker_mark(self));
	sys_kick(0, self->tid);
	self->count = 1;
}

static void self_kick(void)
{
	worker_start(&w, &pool, kick_self, NULL);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), IDLE | PREEMPTED);
	CHECK_EQ(w.count, 0);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
	pool.live--;
}

int main(void)
{
	raw_start();
	server_register(&s, &pool);
	RUN(self_kick);
	RUN(kick_alone);
	RUN(kick_among_hogs);
	RUN(kick_in_kernel);
	RUN(signals);
	RUN(not_running);
	server_unregister(&s);
	return 0;
}
