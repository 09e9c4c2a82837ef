// SPDX-License-Identifier: MIT
/*
 * The late idle-server wake: a worker takes the server's tid from the slot, the
 * server goes on by itself, runs a worker and so is IDLE again, and only then
 * the wake arrives. It must find out that it is late, or the worker that runs
 * has lost its server. Ten sleepers over one server on two CPUs, many rounds.
 */
#include "libraw.h"

#define SLEEPERS	10

static struct pool pool;
static struct server s;
static struct worker w[SLEEPERS];

static void sleeper(struct worker *self)
{
	uint32_t seed = self->tid;

	for (int i = 0; i < 8; i++) {
		nap(raw_random(&seed) % 100000);
		for (volatile int spin = raw_random(&seed) % 3000; spin; spin--)
			;
		self->count++;
	}
}

int main(int argc, char **argv)
{
	long rounds;

	raw_start();
	need_cpus(2);
	rounds = raw_number(argc, argv, "ROUNDS", 60);
	server_register(&s, &pool);
	for (long i = 0; i < rounds; i++) {
		for (int k = 0; k < SLEEPERS; k++)
			worker_start(&w[k], &pool, sleeper, NULL);
		server_loop(&s);
		for (int k = 0; k < SLEEPERS; k++) {
			worker_join(&w[k]);
			CHECK_EQ(w[k].count, 8);
		}
	}
	CHECK_EQ(s.ends, rounds * SLEEPERS);
	server_unregister(&s);
	return 0;
}
