// SPDX-License-Identifier: MIT
/*
 * Timestamps: every change the kernel makes carries CLOCK_MONOTONIC >> 4 of the
 * time it was made, and two successive words of a task always differ.
 */
#include <sys/syscall.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w;
static int fds[2];
static volatile uint64_t before;	/* a time before the change to come */

/* The stamp is between @from and now; it is rounded down to 16 ns. */
static void check_stamp(const char *what, const struct umcg_task *t, uint64_t from)
{
	uint64_t word = __atomic_load_n(&t->state_ts, __ATOMIC_SEQ_CST);
	int64_t after = stamp_since(word, from);
	int64_t late = stamp_since(word, now_ns(CLOCK_MONOTONIC));

	/* One unit may be the bump that keeps successive words apart. */
	if (after < 0 || late > 1)
		FAIL("%s: stamp %lld units after the time before, %lld after now", what,
		     (long long)after, (long long)late);
}

static void steps(struct worker *self)
{
	char c;

	before = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(read(fds[0], &c, 1), 1);	/* block */
	state_set(&self->rec, RUNNING, RUNNING | PREEMPTED);
	before = now_ns(CLOCK_MONOTONIC);
	sys_kick(0, self->tid);			/* preempt */
	state_set(&self->rec, RUNNING, IDLE | LOCKED);
	state_set(&s.rec, IDLE, RUNNING);
	before = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(sys_wait(0, 0), 0);		/* the kernel unlocks: yield */
	state_set(&self->rec, RUNNING, IDLE | LOCKED);
	state_set(&s.rec, IDLE, RUNNING);
	before = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(sys_wait(MONOTONIC, before + 5 * NS_PER_MS), -ETIMEDOUT);
	before = now_ns(CLOCK_MONOTONIC);	/* exit */
}

static void each_transition(void)
{
	uint64_t from = now_ns(CLOCK_MONOTONIC);

	worker_start(&w, &pool, steps, NULL);
	server_expect(&s, &w);
	check_stamp("wake detection at registration", &w.rec, from);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	check_stamp("block, worker", &w.rec, before);
	check_stamp("block, server", &s.rec, before);
	from = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	server_expect(&s, &w);
	check_stamp("wake, worker", &w.rec, from);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, IDLE | PREEMPTED);
	check_stamp("preempt, worker", &w.rec, before);
	check_stamp("preempt, server", &s.rec, before);
	server_run(&s, &w);
	WAIT_FOR(state_of(&w.rec) == IDLE);
	check_stamp("unlock", &w.rec, before);
	server_run(&s, &w);
	server_expect(&s, &w);
	check_stamp("timeout", &w.rec, before + 5 * NS_PER_MS);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	check_stamp("exit, worker", &w.rec, before);
	check_stamp("exit, server", &s.rec, before);
	worker_join(&w);
	pool.live--;
}

static void reader(struct worker *self)
{
	char c;

	self->count = read(fds[0], &c, 1);
}

static void *writer(void *arg)
{
	(void)arg;
	WAIT_FOR(__atomic_load_n(&pool.idle_server, __ATOMIC_SEQ_CST) && asleep(s.tid));
	before = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	return NULL;
}

/* A server that is woken out of the slot. */
static void idle_server(void)
{
	pthread_t t;

	worker_start(&w, &pool, reader, NULL);
	server_expect(&s, &w);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	t = spawn(writer, NULL);
	state_set(&s.rec, RUNNING, IDLE);
	__atomic_store_n(&pool.idle_server, s.tid, __ATOMIC_SEQ_CST);
	CHECK_EQ(sys_wait(0, 0), 0);
	check_stamp("idle server", &s.rec, before);
	join(t);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	worker_join(&w);
	pool.live--;
}

/* Wall-clock time must be told apart from the time since the boot. */
static void right_clock(void)
{
	uint64_t word = s.rec.state_ts;

	CHECK(stamp_since(word, now_ns(CLOCK_REALTIME)) != 0);
	CHECK(stamp_since(word, now_ns(CLOCK_MONOTONIC)) > -(60 * (int64_t)NS_PER_S >> 4));
}

static bool end;
static long nr_seen, bad;

/* Writes down every word of the worker that it gets to see. */
static void *observer(void *arg)
{
	uint64_t last = 0;

	(void)arg;
	while (!__atomic_load_n(&end, __ATOMIC_RELAXED)) {
		uint64_t word = __atomic_load_n(&w.rec.state_ts, __ATOMIC_SEQ_CST);

		if (word == last) {
			syscall(SYS_sched_yield);
			continue;
		}
		/* Later, or the same time and then another word would be wrong. */
		if (last && (int64_t)((word & ~UMCG_TASK_STATE_MASK_FULL) -
				      (last & ~UMCG_TASK_STATE_MASK_FULL)) <= 0)
			bad++;
		last = word;
		nr_seen++;
	}
	return NULL;
}

static void busy(struct worker *self)
{
	char c;

	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(write(fds[1], "x", 1), 1);
		CHECK_EQ(read(fds[0], &c, 1), 1);
		if (i % 3)
			worker_yield(self);
		else
			nap(1000);
	}
}

/* Monotone and always different, whatever makes the change. */
static void successive(void)
{
	pthread_t t;

	worker_start(&w, &pool, busy, NULL);
	t = spawn(observer, NULL);
	server_loop(&s);
	__atomic_store_n(&end, true, __ATOMIC_RELAXED);
	join(t);
	worker_join(&w);
	CHECK(nr_seen > 10);
	CHECK_EQ(bad, 0);
}

int main(void)
{
	raw_start();
	CHECK_EQ(pipe(fds), 0);
	server_register(&s, &pool);
	RUN(each_transition);
	RUN(idle_server);
	RUN(right_clock);
	RUN(successive);
	server_unregister(&s);
	return 0;
}
