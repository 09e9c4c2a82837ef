// SPDX-License-Identifier: MIT
/* Basic tasks: wait, wake, switch; wake against wait. */
#include <sched.h>

#include "libraw.h"

struct task {
	struct umcg_task rec;
	pid_t		tid;
	volatile long	rounds;
	long		goal;
	struct task	*peer;
};

static struct task a, b;

static void hello(struct task *t)
{
	basic_register(&t->rec);
	__atomic_store_n(&t->tid, gettid(), __ATOMIC_SEQ_CST);
}

static void *waiter(void *arg)
{
	struct task *t = arg;

	hello(t);
	while (t->rounds < t->goal) {
		state_set(&t->rec, RUNNING, IDLE);
		CHECK_EQ(sys_wait(0, 0), 0);
		CHECK_STATE(&t->rec, RUNNING);
		t->rounds++;
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

/* The own state is RUNNING at entry: no sleep, whatever the timeout says. */
static void already_running(void)
{
	hello(&a);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_EQ(sys_wait(MONOTONIC, 1), 0);
	CHECK_EQ(sys_wait(0, ~0ULL), 0);
	CHECK_STATE(&a.rec, RUNNING);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void start(struct task *t, long goal)
{
	memset(t, 0, sizeof(*t));
	t->goal = goal;
}

static void wake_only(void)
{
	pthread_t t;

	start(&b, 3);
	t = spawn(waiter, &b);
	hello(&a);
	WAIT_FOR(b.tid && state_of(&b.rec) == IDLE && asleep(b.tid));
	/* A wake that changes no state does not end the wait. */
	a.rec.next_tid = b.tid;
	for (int i = 0; i < 20; i++)
		CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	usleep(2000);
	CHECK_STATE(&b.rec, IDLE);
	CHECK_EQ(b.rounds, 0);
	/* Nor does a state change alone; both do. What the last wake began is over. */
	WAIT_FOR(asleep(b.tid));
	state_set(&b.rec, IDLE, RUNNING);
	usleep(2000);
	CHECK_EQ(b.rounds, 0);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	WAIT_FOR(b.rounds == 1 && state_of(&b.rec) == IDLE);
	/* The same with the advice; the own next_tid and state stay. */
	a.rec.next_tid = b.tid;
	state_set(&b.rec, IDLE, RUNNING);
	CHECK_EQ(sys_wait(WAKE_ONLY | WF_CURRENT_CPU, 0), 0);
	CHECK_EQ(a.rec.next_tid, b.tid);
	CHECK_STATE(&a.rec, RUNNING);
	WAIT_FOR(b.rounds == 2 && state_of(&b.rec) == IDLE);
	/* Already RUNNING with a next_tid: wakes it and returns. */
	a.rec.next_tid = b.tid;
	state_set(&b.rec, IDLE, RUNNING);
	CHECK_EQ(sys_wait(0, 0), 0);
	join(t);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

/* Woken between the own state change and the system call, as often as may be. */
static void race(void)
{
	pthread_t t;

	start(&b, 10000);
	t = spawn(waiter, &b);
	hello(&a);
	WAIT_FOR(b.tid);
	while (b.rounds < b.goal) {
		int r;

		if (!state_cas(&b.rec, IDLE, RUNNING)) {
			sched_yield();
			continue;
		}
		a.rec.next_tid = b.tid;
		r = sys_wait(WAKE_ONLY, 0);
		/* After its last round it may have left. */
		CHECK(r == 0 || (r == -ESRCH && b.rounds == b.goal));
	}
	join(t);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void *switcher(void *arg)
{
	struct task *t = arg;

	hello(t);
	WAIT_FOR(__atomic_load_n(&t->peer->tid, __ATOMIC_SEQ_CST));
	if (t == &b) {		/* b waits first */
		state_set(&t->rec, RUNNING, IDLE);
		basic_wait(&t->rec);
	} else {
		WAIT_FOR(state_of(&b.rec) == IDLE);
	}
	while (t->rounds < t->goal) {
		CHECK_EQ(t->rounds, t->peer->rounds + (t == &b ? -1 : 0));
		t->rounds++;
		if (t == &b && t->rounds == t->goal)
			CHECK(basic_wake(&t->rec, &t->peer->rec, t->peer->tid));
		else
			basic_switch(&t->rec, &t->peer->rec, t->peer->tid);
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

/* Strict alternation, on one CPU, on two, and wherever the scheduler likes. */
static void switches(void)
{
	for (int mode = 0; mode < 3; mode++) {
		pthread_t t[2];

		start(&a, 3000);
		start(&b, 3000);
		a.peer = &b;
		b.peer = &a;
		t[0] = spawn(switcher, &a);
		t[1] = spawn(switcher, &b);
		WAIT_FOR(a.tid && b.tid);
		if (mode < 2) {
			pin(a.tid, 0);
			pin(b.tid, mode);
		}
		join(t[0]);
		join(t[1]);
		CHECK_EQ(a.rounds, b.rounds);
	}
}

/* A wake with no task asleep is no error, and is not remembered. */
static void wake_running(void)
{
	pthread_t t;

	start(&b, 1);
	hello(&a);
	t = spawn(waiter, &b);
	WAIT_FOR(b.tid && state_of(&b.rec) == IDLE && asleep(b.tid));
	b.rounds = -1;
	a.rec.next_tid = b.tid;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	CHECK(basic_wake(&a.rec, &b.rec, b.tid));
	WAIT_FOR(b.rounds == 0 && state_of(&b.rec) == IDLE && asleep(b.tid));
	CHECK(basic_wake(&a.rec, &b.rec, b.tid));
	join(t);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

int main(void)
{
	raw_start();
	RUN(already_running);
	RUN(wake_only);
	RUN(wake_running);
	RUN(race);
	RUN(switches);
	return 0;
}
