// SPDX-License-Identifier: MIT
/* run, yield, swap, and the wake-up of a RUNNING worker that has no server. */
#include "libraw.h"

#define ROUNDS	1000

static struct pool pool;
static struct server s;
static struct worker w[5];

static void yielder(struct worker *self)
{
	while (self->count < (long)self->arg) {
		CHECK_STATE(&self->rec, RUNNING);
		CHECK_EQ(self->rec.next_tid, s.tid);
		CHECK_STATE(&s.rec, IDLE);
		self->count++;
		worker_yield(self);
	}
}

static void end(struct worker *self)
{
	while (server_run_through(&s, self) != NONE)
		;
	worker_join(self);
	pool.live--;
}

/* Registration: through wake detection to the list, and no further. */
static void first_run(void)
{
	worker_start(&w[0], &pool, yielder, (void *)2);
	WAIT_FOR(state_of(&w[0].rec) == IDLE && asleep(w[0].tid));
	CHECK_EQ(pool.head, (uint64_t)&w[0].rec.idle_workers_ptr);
	CHECK_EQ(w[0].rec.idle_workers_ptr, 0);
	usleep(1000);
	CHECK_EQ(w[0].count, 0);
	server_expect(&s, &w[0]);
	CHECK_EQ(pool.head, 0);
	for (int i = 1; i <= 2; i++) {
		CHECK_EQ(server_run_through(&s, &w[0]), IDLE);
		CHECK_EQ(w[0].count, i);
		/* A worker that yields is not on the list, and sleeps. */
		CHECK(!worker_on_list(&w[0]));
		CHECK_EQ(pool.head, 0);
		WAIT_FOR(state_of(&w[0].rec) == IDLE && asleep(w[0].tid));
	}
	end(&w[0]);
}

static void list_is_a_stack(void)
{
	for (int i = 0; i < 5; i++) {
		worker_start(&w[i], &pool, yielder, (void *)1);
		WAIT_FOR(__atomic_load_n(&pool.head, __ATOMIC_SEQ_CST) ==
			 (uint64_t)&w[i].rec.idle_workers_ptr);
		/* Every link leads to the one that was newest before. */
		WAIT_FOR(__atomic_load_n(&w[i].rec.idle_workers_ptr, __ATOMIC_SEQ_CST) !=
			 UMCG_IDLE_NODE_PENDING);
		CHECK_EQ(w[i].rec.idle_workers_ptr,
			 i ? (uint64_t)&w[i - 1].rec.idle_workers_ptr : 0);
	}
	for (int i = 0; i < 5; i++)
		server_expect(&s, &w[i]);
	for (int i = 4; i >= 0; i--)
		end(&w[i]);
}

static void yields(void)
{
	for (int mode = 0; mode < 3; mode++) {
		long n = 0;

		worker_start(&w[0], &pool, yielder, (void *)ROUNDS);
		server_expect(&s, &w[0]);
		if (mode < 2) {
			pin(0, 0);
			pin(w[0].tid, mode);
		} else {
			unpin(0);
		}
		while (server_run_through(&s, &w[0]) == IDLE)
			CHECK_EQ(w[0].count, ++n);
		CHECK_EQ(n, ROUNDS);
		worker_join(&w[0]);
		pool.live--;
	}
}

static void swapper(struct worker *self)
{
	int me = self - w;

	while (self->count < ROUNDS) {
		/* Strict order round the ring of three. */
		CHECK_EQ(self->count, w[(me + 1) % 3].count + (me == 2 ? -1 : 0));
		self->count++;
		CHECK(s.current == self);
		CHECK_STATE(&s.rec, IDLE);
		if (me == 2 && self->count == ROUNDS)
			return;
		worker_swap(self, &w[(me + 1) % 3]);
		CHECK_STATE(&self->rec, RUNNING);
		CHECK_EQ(self->rec.next_tid, s.tid);
	}
}

static void swaps(void)
{
	for (int mode = 0; mode < 3; mode++) {
		unpin(0);
		for (int i = 0; i < 3; i++) {
			worker_start(&w[i], &pool, swapper, NULL);
			server_expect(&s, &w[i]);
		}
		for (int i = 0; mode < 2 && i < 3; i++)
			pin(w[i].tid, mode ? i : 0);
		if (!mode)
			pin(0, 0);
		while (state_of(&w[2].rec) != NONE) {
			/* Only a block that user space did not ask for comes here. */
			struct worker *r = s.current && worker_on_list(s.current) ?
					   server_next(&s) : &w[0];

			server_run(&s, r);
		}
		CHECK(s.current == &w[2]);
		for (int i = 0; i < 3; i++)
			CHECK_EQ(w[i].count, ROUNDS);
		pool.live--;
		worker_join(&w[2]);
		end(&w[0]);
		end(&w[1]);
	}
	unpin(0);
}

static void bits(struct worker *self)
{
	state_set(&self->rec, RUNNING, IDLE | LOCKED | USER_BITS);
	state_set(&s.rec, IDLE, RUNNING);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&self->rec, RUNNING);
	/* LOCKED is a courtesy to others, not a duty. */
	state_set(&self->rec, RUNNING, IDLE);
	state_set(&s.rec, IDLE, RUNNING);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&self->rec, RUNNING);
}

/* The kernel unlocks a worker that goes to sleep and leaves the user's bits. */
static void user_bits(void)
{
	worker_start(&w[0], &pool, bits, NULL);
	server_expect(&s, &w[0]);
	server_run(&s, &w[0]);
	WAIT_FOR(!(state_of(&w[0].rec) & LOCKED));
	CHECK_STATE(&w[0].rec, IDLE | USER_BITS);
	server_run(&s, &w[0]);
	CHECK_STATE(&w[0].rec, IDLE);
	end(&w[0]);
}

/*
 * A wake of a worker made RUNNING by a task that is no server: it must go to
 * the list and wait for one.
 */
static void wake_without_server(void)
{
	worker_start(&w[0], &pool, yielder, (void *)2);
	server_expect(&s, &w[0]);
	CHECK_EQ(server_run_through(&s, &w[0]), IDLE);
	WAIT_FOR(state_of(&w[0].rec) == IDLE && asleep(w[0].tid));
	w[0].rec.next_tid = 0;
	state_set(&w[0].rec, IDLE, RUNNING);
	s.rec.next_tid = w[0].tid;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	server_expect(&s, &w[0]);
	CHECK_STATE(&w[0].rec, IDLE);
	CHECK_EQ(w[0].count, 1);
	CHECK_EQ(server_run_through(&s, &w[0]), IDLE);
	CHECK_EQ(w[0].count, 2);
	end(&w[0]);
}

int main(void)
{
	raw_start();
	server_register(&s, &pool);
	RUN(first_run);
	RUN(list_is_a_stack);
	RUN(yields);
	RUN(swaps);
	RUN(user_bits);
	RUN(wake_without_server);
	server_unregister(&s);
	return 0;
}
