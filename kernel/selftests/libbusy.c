// SPDX-License-Identifier: MIT
#include "libplace.h"
#include "libbusy.h"

#define SEATS	2

struct basic {
	struct umcg_task rec;
	struct basic	*peer;
	int		i;
};

static struct busy *busy;
static struct pool pool;
static struct server s;
static struct worker w[BUSY_WORKERS];
static struct basic basic[2];
static pthread_t thread[3];
static struct places places;
static struct seat seats[SEATS];
static struct tenant tenants[BUSY_TENANTS];
static pthread_t seat_thread[SEATS];

static void compute(void)
{
	for (volatile int k = 0; k < 2000; k++)
		;
}

static void works(struct worker *self)
{
	int i = self - w;

	busy->tid[i] = self->tid;
	while (!busy->stop) {
		switch (busy->steps[i]++ % 4) {
		case 0:
			worker_yield(self);
			break;
		case 1:
			nap(10000);
			break;
		case 2:
			worker_swap_next(self);
			break;
		default:
			compute();
		}
	}
}

static void *serves(void *arg)
{
	(void)arg;
	server_register(&s, &pool);
	busy->tid[BUSY_WORKERS] = s.tid;
	for (int i = 0; i < BUSY_WORKERS; i++)
		worker_start(&w[i], &pool, works, NULL);
	while (server_step(&s))
		busy->steps[BUSY_WORKERS]++;
	server_unregister(&s);
	return NULL;
}

/* The second waits first; the first ends the game. */
static void *switches(void *arg)
{
	struct basic *me = arg, *peer = me->peer;

	basic_register(&me->rec);
	if (me == &basic[1])
		state_set(&me->rec, RUNNING, IDLE);
	busy->tid[me->i] = gettid();
	if (me == &basic[1])
		basic_wait(&me->rec);
	else
		WAIT_FOR(busy->tid[peer->i]);
	while (!(busy->stop && me == &basic[0])) {
		if (state_of(&peer->rec) != IDLE)
			break;			/* it has ended */
		busy->steps[me->i]++;
		state_set(&me->rec, RUNNING, IDLE);
		state_set(&peer->rec, IDLE, RUNNING);
		me->rec.next_tid = busy->tid[peer->i];
		for (;;) {
			int r = sys_wait(0, 0);

			me->rec.next_tid = 0;
			if (!r)
				break;
			CHECK_EQ(r, -EINTR);
		}
		CHECK_STATE(&me->rec, RUNNING);
	}
	if (me == &basic[0])
		CHECK(basic_wake(&me->rec, &peer->rec, busy->tid[peer->i]));
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

static void passes_on(struct tenant *self)
{
	int i = BUSY_TOLD + (self - tenants);

	busy->tid[i] = self->tid;
	while (!busy->stop) {
		switch (busy->steps[i]++ % 4) {
		case 0:
			tenant_yield(self, seats);
			break;
		case 1:
			nap(10000);
			break;
		case 2:
			__atomic_store_n(&self->rec.rank, 1 + busy->steps[i] / 4 % 3,
					 __ATOMIC_SEQ_CST);
			break;
		default:
			compute();
		}
	}
}

static void places_start(void)
{
	places.servers = SEATS;
	places.permission = ADOPT | RANK;
	for (int i = 0; i < SEATS; i++) {
		seat_thread[i] = seat_start(&seats[i], &places, i, -1);
		WAIT_FOR(__atomic_load_n(&places.slots[i], __ATOMIC_SEQ_CST));
	}
	for (int i = 0; i < BUSY_TENANTS; i++) {
		tenants[i].cpu = -1;
		tenants[i].rank = 1 + i % 3;
		tenant_start(&tenants[i], &places, passes_on);
	}
}

/* It wakes the servers as a task of UMCG, which the caller may not be. */
static void *places_end(void *arg)
{
	struct umcg_task me;

	(void)arg;
	basic_register(&me);
	places_stop(&places, seats, &me);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

void busy_start(struct busy *b)
{
	busy = b;
	places_start();
	thread[0] = spawn(serves, NULL);
	for (int i = 0; i < 2; i++) {
		basic[i].i = BUSY_WORKERS + 1 + i;
		basic[i].peer = &basic[!i];
	}
	for (int i = 0; i < 2; i++)
		thread[1 + i] = spawn(switches, &basic[i]);
	for (int i = 0; i < BUSY_TASKS; i++)
		WAIT_FOR(b->tid[i]);
}

void busy_progress(struct busy *b)
{
	for (int i = 0; i < BUSY_TASKS; i++) {
		long goal = b->steps[i] + 3;

		WAIT_FOR(b->steps[i] >= goal);
	}
}

void busy_stop(struct busy *b)
{
	b->stop = true;
	for (int i = 0; i < 3; i++)
		join(thread[i]);
	for (int i = 0; i < BUSY_WORKERS; i++)
		worker_join(&w[i]);
	CHECK_EQ(s.ends, BUSY_WORKERS);
	for (int i = 0; i < BUSY_TENANTS; i++)
		join(tenants[i].thread);
	join(spawn(places_end, NULL));
	for (int i = 0; i < SEATS; i++)
		join(seat_thread[i]);
	CHECK(seats[0].rec.passes + seats[1].rec.passes);
}
