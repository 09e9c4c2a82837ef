// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_yield(): the others go first, and the worker is on the list behind them. */
#include "util.h"

#define WORKERS	4

static struct place place;
static umcg_t group;
static long rounds;
static atomic_bool yielding[WORKERS];

static void *takes_turns(void *arg)
{
	int me = (int)(intptr_t)arg;

	test_task(umcg_register_worker(group, me));
	for (long i = 0; i < rounds; i++) {
		yielding[me] = true;
		CHECK_CALL(umcg_yield(), 0);
		yielding[me] = false;
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* One server: the worker that has yielded first is served first. (A page fault may block, too.) */
static long number[WORKERS], yielded;

static void is_served(umcg_tid w)
{
	intptr_t me = umcg_get_task_tag(w);

	for (int other = 0; other < WORKERS; other++)
		CHECK(!number[me] || !number[other] || number[other] >= number[me],
		      "number %ld before number %ld", number[me], number[other]);
	number[me] = 0;
}

static void came_back(umcg_tid w)
{
	intptr_t me = umcg_get_task_tag(w);

	CHECK(!umcg_is_preempted(w), "it has yielded");
	if (!yielding[me] || umcg_get_task_state(w) != UMCG_TASK_IDLE)
		return;
	CHECK_NONE(umcg_run_worker(w), EBUSY);
	number[me] = ++yielded;
}

static void order(void)
{
	pthread_t threads[WORKERS];
	int left = WORKERS;
	umcg_tid w, back;

	group = test_group(0);
	test_task(umcg_register_server(group, 0));
	for (intptr_t i = 0; i < WORKERS; i++)
		threads[i] = test_spawn(takes_turns, (void *)i);
	while (left) {
		w = umcg_get_idle_worker(true);
		CHECK(w, "umcg_get_idle_worker");
		is_served(w);
		back = umcg_run_worker(w);
		if (back) {
			CHECK(back == w, "another one came back");
			came_back(w);
		} else {
			CHECK(!errno, "umcg_run_worker");
			left--;
		}
	}
	for (int i = 0; i < WORKERS; i++)
		test_join(threads[i]);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
	CHECK(yielded > 0, "no task has yielded");
}

static atomic_long yields;

static void *yields_and_naps(void *arg)
{
	struct place *p = arg;
	umcg_tid self = test_task(umcg_register_worker(p->group, 0));
	uint64_t seed = (uint64_t)self;

	for (long i = 0; i < rounds; i++) {
		/* A wake-up that is queued stays for the next wait. */
		if (i % 3 == 0)
			CHECK_CALL(umcg_wake(self, false), 0);
		CHECK_CALL(umcg_yield(), 0);
		yields++;
		if (i % 3 == 0)
			CHECK_CALL(umcg_wait(0), 0);
		if (test_random(&seed) % 4 == 0)
			test_nap(MS / 20);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Workers that yield under several servers, preempted at random, lose no task. */
static void many(int servers, uint32_t flags)
{
	pthread_t threads[WORKERS], serving[4];

	place_begin(&place, flags, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		threads[i] = test_spawn(yields_and_naps, &place);
	for (int i = 0; i < servers; i++)
		serving[i] = place_server(&place);
	for (int i = 0; i < WORKERS; i++)
		test_join(threads[i]);
	for (int i = 0; i < servers; i++)
		test_join(serving[i]);
	place_end(&place);
}

static void refused(void)
{
	umcg_tid self;

	CHECK_CALL(umcg_yield(), EINVAL);
	self = umcg_register_basic_task(0);
	CHECK(self, "register");
	CHECK_CALL(umcg_yield(), EINVAL);
	CHECK_CALL(umcg_unregister_task(), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 300);
	refused();
	order();
	for (int servers = 1; servers <= 4; servers *= 2)
		many(servers, 0);
	CHECK(yields == 3 * WORKERS * rounds, "%ld yields", (long)yields);
	return 0;
}
