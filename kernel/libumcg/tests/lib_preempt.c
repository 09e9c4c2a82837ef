// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Preemption of workers that spin, block and swap; by the kick and by a signal. */
#include <signal.h>

#include "laps.h"

#define WORKERS	LAPS_WORKERS

static struct place place;
static atomic_int at_work, registered;
static long rounds;

static int enter(void)
{
	int me = laps_enter(place.group);

	registered++;
	return me;
}

static void leave(int me)
{
	at_work--;
	laps_leave(me);
}

/* Without preemption, never. */
static void *spinner(void *arg)
{
	int me = enter();

	(void)arg;
	laps_spin(me, rounds);
	leave(me);
	return NULL;
}

static void *blocker(void *arg)
{
	int me = enter();

	(void)arg;
	for (int i = 0; i < 10 * rounds; i++) {
		for (volatile int n = 0; n < 1000; n++)
			;
		test_nap(1000);
	}
	leave(me);
	return NULL;
}

static long turn;

static void *swapper(void *arg)
{
	int me = enter();

	(void)arg;
	while (registered < WORKERS)
		test_nap(MS / 10);
	if (me)
		CHECK_CALL(umcg_wait(0), 0);
	for (int i = 0; i < 20 * rounds; i++) {
		umcg_tid next = laps_utid[(me + 1) % WORKERS];

		CHECK(turn % WORKERS == me, "turn of %ld, not of %d", turn % WORKERS, me);
		turn++;
		if (i < 20 * rounds - 1)
			CHECK_CALL(umcg_swap(next, 0), 0);
		else if (me < WORKERS - 1)
			CHECK_CALL(umcg_wake(next, false), 0);
	}
	leave(me);
	return NULL;
}

/* Swapping workers are inside the library most of the time. */
static bool preemptible(void *(*worker)(void *arg))
{
	return TEST_PREEMPTS_INSIDE || worker != swapper;
}

/* Preempted workers go to the end of the server's own queue. */
static void *fair_server(void *arg)
{
	umcg_tid queue[WORKERS], w;
	int queued = 0;

	(void)arg;
	test_task(umcg_register_server(place.group, 0));
	while (place.alive > 0) {
		w = umcg_get_idle_worker(!queued);
		if (!w) {
			CHECK(queued, "umcg_get_idle_worker");
			w = queue[0];
			memmove(queue, queue + 1, sizeof(*queue) * (size_t)--queued);
		}
		w = umcg_run_worker(w);
		if (!w) {
			CHECK(!errno, "umcg_run_worker");
			place.alive--;
		} else if (umcg_is_preempted(w)) {
			queue[queued++] = w;
			place.preempted++;
		}
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void run(const char *name, uint32_t flags, void *(*worker)(void *arg))
{
	pthread_t threads[WORKERS], server;
	long took = 0, lost = 0;

	place_begin(&place, flags, WORKERS);
	at_work = WORKERS;
	registered = 0;
	turn = 0;
	laps_begin();
	for (int i = 0; i < WORKERS; i++)
		threads[i] = test_spawn(worker, NULL);
	test_await(&laps_entered, WORKERS);
	server = test_spawn(fair_server, NULL);
	/* Not registered: any thread may preempt. */
	for (int i = 0; preemptible(worker) && at_work > 0; i = (i + 1) % WORKERS) {
		umcg_tid utid = laps_utid[i];

		if (!utid)
			continue;
		if (!umcg_preempt_worker(utid))
			took++;
		else if (errno == EAGAIN)
			lost++;
		else
			CHECK(errno == ESRCH || errno == EINVAL, "umcg_preempt_worker");
		if (i == 0)
			test_nap(MS / 2);
	}
	for (int i = 0; i < WORKERS; i++)
		test_join(threads[i]);
	test_join(server);
	place_end(&place);
	printf("%s: %ld marked, %ld not running, %d preempted\n", name, took, lost,
	       place.preempted);
	if (worker == spinner)
		CHECK(place.preempted > 0 && took >= place.preempted, "no task was preempted");
}

/* No task runs: nothing to preempt. */
static void refused(void)
{
	umcg_t group = test_group(0);
	umcg_tid self = umcg_register_server(group, 0);

	CHECK(self, "register");
	CHECK_CALL(umcg_preempt_worker(self), EINVAL);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint32_t flags;
	} ways[] = {
		{ "kick", UMCG_GROUP_ENABLE_PREEMPTION | UMCG_GROUP_KEEP_PREEMPTED },
		{ "signal", UMCG_GROUP_PREEMPT_SIGNAL(SIGURG) | UMCG_GROUP_KEEP_PREEMPTED },
	};

	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 20);
	refused();
	for (int i = 0; i < 2; i++) {
		printf("by %s:\n", ways[i].name);
		run("spinners", ways[i].flags, spinner);
		run("blockers", ways[i].flags, blocker);
		run("swappers", ways[i].flags, swapper);
	}
	return 0;
}
