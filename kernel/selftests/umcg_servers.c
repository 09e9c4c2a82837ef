// SPDX-License-Identifier: MIT
/*
 * Several servers share one list and one idle-server slot; servers leave and
 * others join while the work goes on. No task may be stranded.
 */
#include "libraw.h"

#define WORKERS	12
#define STEPS	60

static struct pool pool;
static struct server stays[2], comes_and_goes;
static struct worker w[WORKERS];
static volatile long leaves;

static void steps(struct worker *self)
{
	uint32_t seed = self->tid;

	while (self->count < STEPS || leaves < 10) {
		if (raw_random(&seed) % 2)
			nap(raw_random(&seed) % 200000);
		else
			worker_yield(self);
		self->count++;
	}
}

static void *serve(void *arg)
{
	server_register(arg, &pool);
	server_loop(arg);
	server_unregister(arg);
	return NULL;
}

/* Serves a few runs, gives its queue back and leaves; as often as it can. */
static void *visit(void *arg)
{
	struct server *s = &comes_and_goes;
	int place = -1;

	(void)arg;
	while (__atomic_load_n(&pool.live, __ATOMIC_SEQ_CST)) {
		struct worker *left;
		int i;

		server_register(s, &pool);
		for (i = 0; pool.servers[i] != s; i++)
			;
		CHECK(place < 0 || place == i);
		place = i;
		for (i = 0; i < 5 && server_step(s); i++)
			;
		while ((left = s->first)) {
			s->first = left->next;
			worker_unpark(&s->rec, left);
		}
		pool.servers[place] = NULL;
		server_unregister(s);
		leaves++;
	}
	return NULL;
}

int main(void)
{
	pthread_t t[3];

	raw_start();
	for (int i = 0; i < WORKERS; i++)
		worker_start(&w[i], &pool, steps, NULL);
	for (int i = 0; i < 2; i++) {
		t[i] = spawn(serve, &stays[i]);
		WAIT_FOR(pool.servers[i]);	/* the visitor's place is the last */
	}
	t[2] = spawn(visit, NULL);
	for (int i = 0; i < 3; i++)
		join(t[i]);
	for (int i = 0; i < WORKERS; i++)
		worker_join(&w[i]);
	CHECK_EQ(pool.head, 0);
	printf("  a server left %ld times\n", leaves);
	return 0;
}
