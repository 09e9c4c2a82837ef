// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Rings of workers that hand one server's place on by umcg_swap(), in strict order. */
#include "util.h"

static int size;
static long rounds;
static long count;		/* the task whose turn it is owns it */
static umcg_t group;
static atomic_int ready;
static atomic_intptr_t *ring;

static void *worker(void *arg)
{
	int me = (int)(intptr_t)arg;

	ring[me] = test_task(umcg_register_worker(group, me));
	ready++;
	CHECK_CALL(umcg_wait(0), 0);
	for (long i = 0; i < rounds; i++) {
		umcg_tid next = ring[(me + 1) % size];

		CHECK(count % size == me, "turn of %ld, not of %d", count % size, me);
		count++;
		if (i < rounds - 1)
			CHECK_CALL(umcg_swap(next, 0), 0);
		else if (me < size - 1)
			CHECK_CALL(umcg_wake(next, false), 0);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void chain(int workers, long turns)
{
	pthread_t *threads = calloc((size_t)workers, sizeof(*threads)), server;
	struct place p;

	size = workers;
	rounds = turns;
	count = 0;
	ready = 0;
	ring = calloc((size_t)workers, sizeof(*ring));
	place_begin(&p, 0, workers);
	group = p.group;
	server = place_server(&p);
	for (intptr_t i = 0; i < workers; i++)
		threads[i] = test_spawn(worker, (void *)i);
	test_await(&ready, workers);
	CHECK_CALL(umcg_wake(ring[0], false), 0);
	for (int i = 0; i < workers; i++)
		test_join(threads[i]);
	test_join(server);
	CHECK(count == size * rounds, "%ld turns", count);
	place_end(&p);
	free(threads);
	free(ring);
	printf("%d workers: ok\n", workers);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	CHECK(umcg_register_basic_task(0), "register");
	chain(10, test_size("ROUNDS", 1, 500));
	chain((int)test_size("WORKERS", 2, 1000), 5);
	CHECK_CALL(umcg_unregister_task(), 0);
	return 0;
}
