// SPDX-License-Identifier: MIT
/* Signals to servers and basic tasks in umcg_wait: the handler runs at once. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "libraw.h"

struct task {
	struct umcg_task rec;
	pid_t		tid;
	uint64_t	timeout;
	volatile int	result;		/* of the wait; 1 while it lasts */
	volatile bool	end;
};

static struct umcg_task me;
static struct task b;
static volatile long handled;
static volatile pid_t handled_by;

static void on_signal(int sig)
{
	(void)sig;
	handled_by = gettid();
	handled++;
}

static void handler(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

static void *waiter(void *arg)
{
	(void)arg;
	basic_register(&b.rec);
	b.result = 1;
	state_set(&b.rec, RUNNING, IDLE);
	__atomic_store_n(&b.tid, gettid(), __ATOMIC_SEQ_CST);
	b.result = sys_wait(b.timeout ? MONOTONIC : 0, b.timeout);
	WAIT_FOR(b.end);
	return NULL;
}

static pthread_t start(uint64_t timeout)
{
	pthread_t t;

	memset(&b, 0, sizeof(b));
	b.timeout = timeout;
	handled = 0;
	t = spawn(waiter, NULL);
	WAIT_FOR(b.tid && asleep(b.tid));
	return t;
}

static void send(int sig)
{
	CHECK_EQ(syscall(SYS_tgkill, getpid(), b.tid, sig), 0);
}

/* With SA_RESTART the wait resumes, as often as you like, until it is woken. */
static void restarts(void)
{
	pthread_t t = start(0);
	uint64_t word = b.rec.state_ts;

	handler(SIGUSR1, SA_RESTART);
	for (int i = 1; i <= 50; i++) {
		send(SIGUSR1);
		WAIT_FOR(handled == i);
		CHECK_EQ(handled_by, b.tid);
	}
	WAIT_FOR(asleep(b.tid));
	CHECK_EQ(b.result, 1);
	CHECK_EQ(b.rec.state_ts, word);
	CHECK(basic_wake(&me, &b.rec, b.tid));
	WAIT_FOR(b.result != 1);
	CHECK_EQ(b.result, 0);
	b.end = true;
	join(t);
}

/* Without it the call returns EINTR, and the state word is as it was. */
static void interrupts(void)
{
	pthread_t t = start(0);
	uint64_t word = b.rec.state_ts;

	handler(SIGUSR1, 0);
	send(SIGUSR1);
	WAIT_FOR(b.result != 1);
	CHECK_EQ(b.result, -EINTR);
	CHECK_EQ(handled, 1);
	CHECK_EQ(b.rec.state_ts, word);
	b.end = true;
	join(t);
}

/* The absolute timeout holds across restarts. */
static void timeout(void)
{
	uint64_t at = now_ns(CLOCK_MONOTONIC) + 100 * NS_PER_MS;
	pthread_t t;

	handler(SIGUSR1, SA_RESTART);
	t = start(at);
	for (int i = 0; i < 5; i++) {
		send(SIGUSR1);
		usleep(1000);
	}
	WAIT_FOR(b.result != 1);
	CHECK_EQ(b.result, -ETIMEDOUT);
	CHECK(now_ns(CLOCK_MONOTONIC) >= at);
	WAIT_FOR(handled > 0);
	b.end = true;
	join(t);
}

/* Signals without a handler, and stops, do not end a wait either. */
static void no_handler(void)
{
	pthread_t t = start(0);

	send(SIGWINCH);				/* ignored by default */
	signal(SIGUSR2, SIG_IGN);
	send(SIGUSR2);
	usleep(2000);
	CHECK_EQ(b.result, 1);
	CHECK_EQ(handled, 0);
	CHECK(basic_wake(&me, &b.rec, b.tid));
	WAIT_FOR(b.result != 1);
	CHECK_EQ(b.result, 0);
	b.end = true;
	join(t);
}

static void stop_child(void *arg)
{
	volatile int *phase = arg;
	pthread_t t;

	basic_register(&me);
	t = start(0);
	*phase = 1;			/* stopped and continued by the parent */
	WAIT_FOR(*phase == 2);
	usleep(2000);
	CHECK_EQ(b.result, 1);
	CHECK(basic_wake(&me, &b.rec, b.tid));
	WAIT_FOR(b.result != 1);
	CHECK_EQ(b.result, 0);
	b.end = true;
	join(t);
}

static void stop_and_continue(void)
{
	volatile int *phase = map_pages(1, MAP_SHARED);
	pid_t pid = child_start(stop_child, (void *)phase);

	WAIT_FOR(*phase == 1);
	for (int i = 0; i < 5; i++) {
		kill(pid, SIGSTOP);
		usleep(1000);
		kill(pid, SIGCONT);
		usleep(1000);
	}
	*phase = 2;
	CHECK_EQ(child_wait(pid), 0);
}

/* A blocked signal does not disturb; several queued ones all arrive. */
static void queued(void)
{
	pthread_t t = start(0);

	handler(SIGRTMIN, SA_RESTART);
	for (int i = 0; i < 20; i++) {
		siginfo_t info = { .si_code = SI_QUEUE };

		info.si_pid = getpid();
		info.si_value.sival_int = i;
		CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), b.tid, SIGRTMIN, &info), 0);
	}
	WAIT_FOR(handled == 20);
	CHECK_EQ(b.result, 1);
	CHECK(basic_wake(&me, &b.rec, b.tid));
	WAIT_FOR(b.result != 1);
	b.end = true;
	join(t);
}

static struct pool pool;
static struct server s;
static struct worker w;
static volatile bool go;

static void spinner(struct worker *self)
{
	self->count = 1;
	while (!go)
		;
	self->count = 2;
}

static volatile long eintr;

static void *serve(void *arg)
{
	(void)arg;
	server_register(&s, &pool);
	server_next(&s);
	server_start_run(&s, &w);
	while (state_of(&s.rec) != RUNNING) {
		int r = sys_wait(0, 0);

		/* next_tid stays: a restart must not disturb the worker. */
		CHECK(r == 0 || r == -EINTR);
		if (r)
			eintr++;
	}
	CHECK_STATE(&w.rec, NONE);
	s.rec.next_tid = 0;
	server_unregister(&s);
	return NULL;
}

/* A server that runs a worker: handler at once, and the worker runs on. */
static void while_it_runs_a_worker(void)
{
	pthread_t t;

	handled = 0;
	worker_start(&w, &pool, spinner, NULL);
	t = spawn(serve, NULL);
	WAIT_FOR(w.count == 1);
	for (int i = 1; i <= 20; i++) {
		handler(SIGUSR1, i & 1 ? SA_RESTART : 0);
		CHECK_EQ(syscall(SYS_tgkill, getpid(), s.tid, SIGUSR1), 0);
		WAIT_FOR(handled == i);
		CHECK_EQ(handled_by, s.tid);
		/* Back in its wait, so that the next one finds it there. */
		WAIT_FOR(eintr == i / 2 && asleep(s.tid));
	}
	CHECK_STATE(&w.rec, RUNNING);
	CHECK_STATE(&s.rec, IDLE);
	CHECK_EQ(eintr, 10);
	go = true;
	worker_join(&w);
	join(t);
	CHECK_EQ(w.count, 2);
}

static volatile bool end_worker;

static void unregisters(struct worker *self)
{
	state_set(&self->rec, RUNNING, RUNNING | LOCKED);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	self->count = 1;
	WAIT_FOR(end_worker);
}

/* Its worker has unregistered and no task has woken it yet. */
static void *serve_one_that_leaves(void *arg)
{
	int r;

	(void)arg;
	server_register(&s, &pool);
	worker_start(&w, &pool, unregisters, NULL);
	server_expect(&s, &w);
	server_start_run(&s, &w);
	while ((r = sys_wait(0, 0)) == 0 && !w.count) {
		server_expect(&s, &w);	/* it has blocked: a first touch of a page */
		server_start_run(&s, &w);
	}
	CHECK_EQ(r, 0);
	CHECK_STATE(&s.rec, RUNNING);
	s.rec.next_tid = 0;
	server_unregister(&s);
	return NULL;
}

/* The wait goes on after a handler, although the task it named is none any more. */
static void worker_has_unregistered(void)
{
	pthread_t t;

	memset(&pool, 0, sizeof(pool));
	handler(SIGUSR1, SA_RESTART);
	handled = 0;
	t = spawn(serve_one_that_leaves, NULL);
	WAIT_FOR(w.count == 1 && asleep(s.tid));
	for (int i = 1; i <= 5; i++) {
		CHECK_EQ(syscall(SYS_tgkill, getpid(), s.tid, SIGUSR1), 0);
		WAIT_FOR(handled == i && asleep(s.tid));
		usleep(1000);
		CHECK_STATE(&s.rec, IDLE);
	}
	CHECK(basic_wake(&me, &s.rec, s.tid));
	join(t);
	end_worker = true;
	worker_join(&w);
}

int main(void)
{
	raw_start();
	basic_register(&me);
	RUN(restarts);
	RUN(interrupts);
	RUN(timeout);
	RUN(no_handler);
	RUN(queued);
	RUN(while_it_runs_a_worker);
	RUN(worker_has_unregistered);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	RUN(stop_and_continue);
	return 0;
}
