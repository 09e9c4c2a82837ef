// SPDX-License-Identifier: MIT
/* Wake detection: the idle list and the idle server slot. */
#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w[4];

static void sleeper(struct worker *self)
{
	while (self->count < (long)self->arg) {
		worker_nap(self);
		self->count++;
	}
}

static void end(struct worker *self)
{
	while (server_run_through(&s, self) != NONE)
		;
	worker_join(self);
	pool.live--;
}

static int fds[2];

static void reader(struct worker *self)
{
	char c;

	self->count = read(fds[0], &c, 1);
}

static void *writer(void *arg)
{
	(void)arg;
	WAIT_FOR(__atomic_load_n(&pool.idle_server, __ATOMIC_SEQ_CST) && asleep(s.tid));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	return NULL;
}

/* Slot taken and emptied, server RUNNING and woken, worker on the list. */
static void slot_is_taken(void)
{
	pthread_t t;

	CHECK_EQ(pipe(fds), 0);
	worker_start(&w[0], &pool, reader, NULL);
	server_expect(&s, &w[0]);
	server_run(&s, &w[0]);
	CHECK_STATE(&w[0].rec, BLOCKED);
	t = spawn(writer, NULL);
	state_set(&s.rec, RUNNING, IDLE);
	__atomic_store_n(&pool.idle_server, s.tid, __ATOMIC_SEQ_CST);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&s.rec, RUNNING);
	join(t);
	CHECK_EQ(pool.idle_server, 0);
	CHECK_EQ(pool.head, (uint64_t)&w[0].rec.idle_workers_ptr);
	CHECK_STATE(&w[0].rec, IDLE);
	server_expect(&s, &w[0]);
	end(&w[0]);
}

/* Empty slot: the list, and no task is woken. */
static void empty_slot(void)
{
	uint64_t at;

	worker_start(&w[0], &pool, sleeper, (void *)1);
	server_expect(&s, &w[0]);
	server_run(&s, &w[0]);
	state_set(&s.rec, RUNNING, IDLE);
	at = now_ns(CLOCK_MONOTONIC) + 50 * NS_PER_MS;
	CHECK_EQ(sys_wait(MONOTONIC, at), -ETIMEDOUT);
	CHECK_STATE(&s.rec, IDLE);
	state_set(&s.rec, IDLE, RUNNING);
	server_expect(&s, &w[0]);
	end(&w[0]);
}

/* A server in the slot that is RUNNING is not disturbed. */
static void running_server(void)
{
	uint64_t word;

	worker_start(&w[0], &pool, sleeper, (void *)1);
	server_expect(&s, &w[0]);
	server_run(&s, &w[0]);
	word = s.rec.state_ts;
	__atomic_store_n(&pool.idle_server, s.tid, __ATOMIC_SEQ_CST);
	WAIT_FOR(worker_on_list(&w[0]) && asleep(w[0].tid));
	usleep(2000);
	CHECK_EQ(s.rec.state_ts, word);
	__atomic_store_n(&pool.idle_server, 0, __ATOMIC_SEQ_CST);
	server_expect(&s, &w[0]);
	end(&w[0]);
}

/* The server is woken by a worker that registers. */
static void registration(void)
{
	static struct worker *late = &w[0];

	worker_start(late, &pool, sleeper, (void *)1);
	state_set(&s.rec, RUNNING, IDLE);
	__atomic_store_n(&pool.idle_server, s.tid, __ATOMIC_SEQ_CST);
	while (state_of(&s.rec) == IDLE && !__atomic_load_n(&pool.head, __ATOMIC_SEQ_CST))
		CHECK_EQ(sys_wait(0, 0), 0);
	state_cas(&s.rec, IDLE, RUNNING);
	__atomic_store_n(&pool.idle_server, 0, __ATOMIC_SEQ_CST);
	server_expect(&s, late);
	end(late);
}

/* Each worker has its own list and slot; the kernel need not know whose. */
static void own_lists(void)
{
	static struct pool own[4];
	uint64_t seen = 0;

	for (int i = 0; i < 4; i++)
		worker_start(&w[i], &own[i], sleeper, (void *)3);
	for (int i = 0; i < 4; i++) {
		WAIT_FOR(__atomic_load_n(&own[i].head, __ATOMIC_SEQ_CST));
		CHECK_EQ(own[i].head, (uint64_t)&w[i].rec.idle_workers_ptr);
	}
	CHECK_EQ(pool.head, 0);
	/* One server for all the lists. */
	for (int ended = 0; ended < 4;) {
		for (int i = 0; i < 4; i++) {
			s.pool = &own[i];
			if (!server_poll(&s))
				continue;
			CHECK_EQ(own[i].idle_server, 0);
			if (server_run(&s, &w[i]) == NONE) {
				seen |= 1 << i;
				ended++;
			}
		}
		usleep(200);
	}
	CHECK_EQ(seen, 0xf);
	s.pool = &pool;
	for (int i = 0; i < 4; i++)
		worker_join(&w[i]);
}

static struct worker *parked;

static void parks(struct worker *self)
{
	for (; self->count < 200; self->count++)
		CHECK_EQ(worker_park(self, &parked, 0), 0);
}

static void *unparker(void *arg)
{
	struct umcg_task own;
	struct worker *p;

	(void)arg;
	basic_register(&own);
	for (int i = 0; i < 200; i++) {
		WAIT_FOR(p = __atomic_exchange_n(&parked, NULL, __ATOMIC_SEQ_CST));
		worker_unpark(&own, p);
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

/* A waiting worker is woken without the kernel: pushed on the list by hand. */
static void by_hand(void)
{
	pthread_t t;

	worker_start(&w[0], &pool, parks, NULL);
	t = spawn(unparker, NULL);
	server_loop(&s);
	CHECK_EQ(w[0].count, 200);
	join(t);
	worker_join(&w[0]);
}

int main(void)
{
	raw_start();
	server_register(&s, &pool);
	RUN(slot_is_taken);
	RUN(empty_slot);
	RUN(running_server);
	RUN(registration);
	RUN(own_lists);
	RUN(by_hand);
	server_unregister(&s);
	return 0;
}
