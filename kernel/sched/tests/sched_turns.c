// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * sched_turns [THREADS] [ROUNDS]: threads that compute, sleep, wait, wake each
 * other, yield and end, under every policy and one to four servers. All must end,
 * and the sums must agree.
 */
#include "sched.h"

#define MOST	256

static struct umcg_sched *s;
static long rounds;
static atomic_intptr_t task[MOST];
static atomic_long done;
static int threads;
static int pipes[2];

static void compute(void)
{
	for (volatile int i = 0; i < 2000; i++)
		;
}

static void *body(void *arg)
{
	int me = (int)(intptr_t)arg;
	uint64_t seed = (uint64_t)me + 1;
	struct umcg_sched_attr attr = { .priority = me % 3, .tenant = (uint16_t)(me % 4) };
	char byte = 'x';

	CHECK_CALL(umcg_sched_enter(s, &attr, (uint64_t)me), 0);
	task[me] = umcg_get_utid();
	for (long i = 0; i < rounds; i++) {
		compute();
		switch (test_random(&seed) % 5) {
		case 0:
			test_nap(20000);
			break;
		case 1:
			CHECK_CALL(umcg_sched_yield(), 0);
			break;
		case 2:
			CHECK(write(pipes[1], &byte, 1) == 1, "write");
			CHECK(read(pipes[0], &byte, 1) == 1, "read");
			break;
		case 3:
			CHECK_CALL(umcg_sched_set_deadline(umcg_get_utid(), umcg_get_time_ns() + MS), 0);
			CHECK_CALL(umcg_sched_begin_request(), 0);
			break;
		case 4:
			/* A wait that times out, unless another thread wakes. */
			if (umcg_wait(umcg_get_time_ns() + 50000))
				CHECK(errno == ETIMEDOUT, "umcg_wait");
			break;
		}
		done++;
	}
	if (me % 2)
		CHECK_CALL(umcg_sched_leave(), 0);
	return NULL;
}

static void run(const char *policy, uint32_t servers)
{
	struct umcg_sched_stats stats;
	pthread_t thread[MOST];

	printf("%s, %u servers\n", policy, servers);
	s = sched_open(policy, servers);
	done = 0;
	CHECK_CALL(umcg_sched_start(s), 0);
	for (int i = 0; i < threads; i++)
		thread[i] = test_spawn(body, (void *)(intptr_t)i);
	for (int i = 0; i < threads; i++)
		test_join(thread[i]);
	CHECK_CALL(umcg_sched_stop(s), 0);
	umcg_sched_get_stats(s, &stats);
	CHECK_CALL(umcg_sched_destroy(s), 0);
	CHECK(done == threads * rounds, "%ld rounds", (long)done);
	CHECK(!stats.faults, "%u faults", stats.faults);
	CHECK(stats.most_threads <= (uint32_t)threads, "%u threads at once", stats.most_threads);
	CHECK(stats.turns == stats.blocked + stats.waited + stats.preempted + stats.expired +
	      stats.yielded + stats.ended && stats.ended == (uint64_t)threads,
	      "%lu turns, %lu ends", (unsigned long)stats.turns, (unsigned long)stats.ended);
}

int main(int argc, char **argv)
{
	char policy[64];

	test_begin(argc, argv);
	threads = (int)test_size("sched_turns", 1, 24);
	rounds = test_size("sched_turns", 2, 40);
	CHECK(threads <= MOST, "at most %d threads", MOST);
	CHECK_CALL(pipe(pipes), 0);
	if (!TEST_PREEMPTS_INSIDE) {
		run("fifo", 2);
		run("lifo", 2);
		run("steal:slice_us=0", 2);
		return 0;
	}
	for (int i = 0; umcg_policies[i]; i++)
		for (uint32_t servers = 1; servers <= 4; servers *= 2) {
			snprintf(policy, sizeof(policy), "%s", umcg_policies[i]->name);
			run(policy, servers);
		}
	run("priority:slice_us=200", 2);
	run("las:quantum_us=200,levels=3", 2);
	run("rr:slice_us=100", 2);
	return 0;
}
