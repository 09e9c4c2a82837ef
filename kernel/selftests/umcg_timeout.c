// SPDX-License-Identifier: MIT
/* Timeouts of umcg_wait: both clocks, servers and workers, timeout against wake. */
#include <sched.h>

#include "libraw.h"

static struct umcg_task me;

struct clock {
	uint32_t	flag;
	clockid_t	id;
};

static const struct clock clocks[] = {
	{ 0, CLOCK_REALTIME }, { MONOTONIC, CLOCK_MONOTONIC },
};

static void basic(void)
{
	basic_register(&me);
	for (int i = 0; i < 2; i++) {
		const struct clock *c = &clocks[i];
		uint64_t word, at;

		/* Long past, and in 20 ms. Never early. */
		state_set(&me, RUNNING, IDLE);
		word = me.state_ts;
		CHECK_EQ(sys_wait(c->flag, 1), -ETIMEDOUT);
		at = now_ns(c->id) + 20 * NS_PER_MS;
		CHECK_EQ(sys_wait(c->flag, at), -ETIMEDOUT);
		CHECK(now_ns(c->id) >= at);
		/* The state word is left to its owner. */
		CHECK_EQ(me.state_ts, word);
		state_set(&me, IDLE, RUNNING);
		/* Woken already: no timeout. */
		CHECK_EQ(sys_wait(c->flag, 1), 0);
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

/* A MONOTONIC time is some 50 years ago for REALTIME: the flag does count. */
static void which_clock(void)
{
	basic_register(&me);
	state_set(&me, RUNNING, IDLE);
	CHECK(now_ns(CLOCK_REALTIME) > now_ns(CLOCK_MONOTONIC) + 3600 * NS_PER_S);
	CHECK_EQ(sys_wait(0, now_ns(CLOCK_MONOTONIC) + 3600 * NS_PER_S), -ETIMEDOUT);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

struct peer {
	struct umcg_task rec;
	pid_t		tid;
	long		woken, late, goal;
	volatile long	rounds;
};

static struct peer p;

static void *timed_waiter(void *arg)
{
	(void)arg;
	basic_register(&p.rec);
	__atomic_store_n(&p.tid, gettid(), __ATOMIC_SEQ_CST);
	while (p.rounds < p.goal) {
		int r;

		state_set(&p.rec, RUNNING, IDLE);
		r = sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 150000);
		if (r == 0) {
			CHECK_STATE(&p.rec, RUNNING);
			p.woken++;
		} else {
			CHECK_EQ(r, -ETIMEDOUT);
			/* If this fails a wake came at the last moment. */
			if (state_cas(&p.rec, IDLE, RUNNING))
				p.late++;
			else
				p.woken++;
			CHECK_STATE(&p.rec, RUNNING);
		}
		p.rounds++;
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

static void against_wake(void)
{
	uint32_t seed = 1;
	long sent = 0;
	pthread_t t;

	memset(&p, 0, sizeof(p));
	p.goal = 1000;
	basic_register(&me);
	t = spawn(timed_waiter, NULL);
	WAIT_FOR(p.tid);
	while (p.rounds < p.goal) {
		usleep(raw_random(&seed) % 300);
		if (state_cas(&p.rec, IDLE, RUNNING)) {
			int r;

			sent++;
			me.next_tid = p.tid;
			r = sys_wait(WAKE_ONLY, 0);
			/* After its last round it may have left. */
			CHECK(r == 0 || (r == -ESRCH && p.rounds == p.goal));
		}
	}
	join(t);
	CHECK_EQ(p.woken, sent);
	CHECK_EQ(p.woken + p.late, p.goal);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void *waiter(void *arg)
{
	(void)arg;
	basic_register(&p.rec);
	__atomic_store_n(&p.tid, gettid(), __ATOMIC_SEQ_CST);
	state_set(&p.rec, RUNNING, IDLE);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&p.rec, RUNNING);
	p.rounds++;
	return NULL;
}

/* A switch with a timeout: the next task runs, then we come back. */
static void switch_timeout(void)
{
	for (int i = 0; i < 2; i++) {
		uint64_t at = now_ns(clocks[i].id) + 20 * NS_PER_MS;
		pthread_t t;

		memset(&p, 0, sizeof(p));
		basic_register(&me);
		t = spawn(waiter, NULL);
		WAIT_FOR(p.tid && state_of(&p.rec) == IDLE && asleep(p.tid));
		state_set(&me, RUNNING, IDLE);
		state_set(&p.rec, IDLE, RUNNING);
		me.next_tid = p.tid;
		CHECK_EQ(sys_wait(clocks[i].flag, at), -ETIMEDOUT);
		CHECK(now_ns(clocks[i].id) >= at);
		CHECK_STATE(&me, IDLE);
		join(t);
		CHECK_EQ(p.rounds, 1);
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	}
}

#define ROUNDS	400

static struct pool pool;
static struct server s;
static struct worker w;
static volatile int result;

static void timed_worker(struct worker *self)
{
	const struct clock *c = self->arg;

	for (int i = 0; i < 2; i++) {
		uint64_t at = i ? now_ns(c->id) + 5 * NS_PER_MS : 1;

		state_set(&self->rec, RUNNING, IDLE | LOCKED | USER_BITS);
		state_set(&self->server->rec, IDLE, RUNNING);
		result = 1;
		result = sys_wait(c->flag, at);
		CHECK(now_ns(c->id) >= at);
		CHECK_STATE(&self->rec, RUNNING);
	}
}

/*
 * A worker whose time is up goes to the idle list like one that has blocked,
 * keeps the user's bits, and its call returns once a server has run it.
 */
static void worker(void)
{
	server_register(&s, &pool);
	for (int i = 0; i < 2; i++) {
		worker_start(&w, &pool, timed_worker, (void *)&clocks[i]);
		server_expect(&s, &w);
		for (int round = 0; round < 2; round++) {
			server_run(&s, &w);
			server_expect(&s, &w);
			CHECK_STATE(&w.rec, IDLE | USER_BITS);
			usleep(1000);
			CHECK_EQ(result, 1);
			state_set(&w.rec, IDLE | USER_BITS, IDLE);
		}
		CHECK_EQ(server_run_through(&s, &w), NONE);
		CHECK_EQ(result, -ETIMEDOUT);
		worker_join(&w);
		pool.live--;
	}
	server_unregister(&s);
}

static void racing_worker(struct worker *self)
{
	uint32_t seed = 2;

	for (int i = 0; i < ROUNDS; i++) {
		int r;

		state_set(&self->rec, RUNNING, IDLE | LOCKED);
		state_set(&self->server->rec, IDLE, RUNNING);
		r = sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + (40000 << raw_random(&seed) % 8));
		CHECK(r == 0 || r == -ETIMEDOUT);
		CHECK_STATE(&self->rec, RUNNING);
		self->count++;
	}
}

/*
 * The server runs the worker directly, or finds that the timeout has claimed
 * it (BLOCKED, then on the list). Never both, never neither.
 */
static void worker_against_run(void)
{
	long direct = 0, listed = 0;
	uint32_t seed = 3;

	memset(&pool, 0, sizeof(pool));
	server_register(&s, &pool);
	worker_start(&w, &pool, racing_worker, NULL);
	server_expect(&s, &w);
	worker_claim(&w);
	while (server_run_claimed(&s, &w), state_of(&w.rec) != NONE) {
		usleep(20 << raw_random(&seed) % 8);
		for (;;) {
			/* The word first: a listed node then shows or changed it. */
			uint64_t word = __atomic_load_n(&w.rec.state_ts, __ATOMIC_SEQ_CST);
			uint32_t st = word & UMCG_TASK_STATE_MASK_FULL;

			if (st == BLOCKED || worker_on_list(&w)) {
				server_expect(&s, &w);
				worker_claim(&w);
				listed++;
				break;
			}
			if (st == IDLE && word_cas(&w.rec, word, RUNNING | LOCKED)) {
				direct++;
				break;
			}
			sched_yield();
		}
	}
	CHECK(direct && listed);
	CHECK_EQ(w.count, ROUNDS);
	worker_join(&w);
	server_unregister(&s);
}

static struct worker partner;

static void swaps_for_a_while(struct worker *self)
{
	const struct clock *c = self->arg;
	uint64_t at = now_ns(c->id) + 5 * NS_PER_MS;
	struct server *server = self->server;

	worker_claim(&partner);
	state_set(&self->rec, RUNNING, IDLE | LOCKED);
	server->current = &partner;
	partner.server = server;
	partner.rec.next_tid = server->tid;
	server->rec.next_tid = partner.tid;
	self->rec.next_tid = partner.tid;
	state_set(&partner.rec, RUNNING | LOCKED, RUNNING);
	CHECK_EQ(sys_wait(c->flag, at), -ETIMEDOUT);
	CHECK(now_ns(c->id) >= at);
	CHECK_STATE(&self->rec, RUNNING);
	self->count = 1;
}

static void runs_until_it_is_listed(struct worker *self)
{
	while (!worker_on_list(&w) && !w.count)
		;
	self->count = 1;
}

/* Worker to worker with a timeout: the one comes to the list while the other runs. */
static void swap(void)
{
	memset(&pool, 0, sizeof(pool));
	server_register(&s, &pool);
	for (int i = 0; i < 2; i++) {
		worker_start(&w, &pool, swaps_for_a_while, (void *)&clocks[i]);
		server_expect(&s, &w);
		worker_start(&partner, &pool, runs_until_it_is_listed, NULL);
		server_expect(&s, &partner);
		server_run(&s, &w);
		while (state_of(&partner.rec) != NONE)
			server_run(&s, server_next(&s));
		CHECK_EQ(partner.count, 1);
		while (state_of(&w.rec) != NONE)
			server_run(&s, server_next(&s));
		CHECK_EQ(w.count, 1);
		worker_join(&w);
		worker_join(&partner);
		pool.live = 0;
	}
	server_unregister(&s);
}

int main(void)
{
	raw_start();
	RUN(basic);
	RUN(which_clock);
	RUN(against_wake);
	RUN(switch_timeout);
	RUN(worker);
	RUN(worker_against_run);
	RUN(swap);
	return 0;
}
