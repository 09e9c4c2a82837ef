// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * No worker stays idle beside a server that sleeps. As many servers as workers,
 * and each piece of work is a meeting: a worker spins, without ever giving its
 * place back, until all the others run, too. One server that sleeps on, though
 * there is a worker for it, and no task gets away any more.
 *
 * The workers come out of the kernel one after the other, while servers are just
 * being disturbed: woken for nothing, or by a signal, upon which they leave and
 * come back. From then on nothing helps a meeting along but what the library and
 * the kernel do themselves.
 */
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "util.h"

#define PLACES	3	/* servers, and workers */

static umcg_t group;
static long rounds;
static int doorbell;
static atomic_intptr_t servers[PLACES];
static pthread_t threads[PLACES];
static atomic_int met, left, gone;
static atomic_long times_left;
static atomic_bool over;

static void *worker(void *arg)
{
	uint64_t one;

	(void)arg;
	test_task(umcg_register_worker(group, 0));
	for (long round = 1; round <= rounds; round++) {
		/* A semaphore: each of us takes one, and blocks for it. */
		CHECK(read(doorbell, &one, sizeof(one)) == sizeof(one), "read");
		met++;
		while (met < PLACES * round)
			sched_yield();
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Leaves whenever it is disturbed while it sleeps, and comes back. */
static void *server(void *arg)
{
	int me = (int)(intptr_t)arg;
	umcg_tid w;

	while (!over) {
		servers[me] = umcg_register_server(group, 0);
		CHECK(servers[me], "register");
		while ((w = umcg_get_idle_worker(true))) {
			w = umcg_run_worker(w);
			CHECK(w || !errno, "umcg_run_worker");
			left -= !w;
		}
		CHECK(errno == EINTR, "umcg_get_idle_worker");
		CHECK_CALL(umcg_unregister_task(), 0);
		times_left++;
	}
	gone++;
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

/* A server that has a wake-up queued may be running a worker that waits for us. */
static void disturb(int who, bool by_signal)
{
	if (by_signal)
		pthread_kill(threads[who], SIGUSR1);
	else if (!(umcg_get_task_state(servers[who]) & UMCG_UTF_WAKEUP_QUEUED) &&
		 umcg_wake(servers[who], false))
		CHECK(errno == ESRCH, "umcg_wake");
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = nothing };
	uint64_t seed = 1, one = 1;
	pthread_t workers[PLACES];

	test_begin(argc, argv);
	rounds = test_size("MEETINGS", 1, 500);
	sigaction(SIGUSR1, &sa, NULL);
	doorbell = eventfd(0, EFD_SEMAPHORE);
	CHECK(doorbell >= 0, "eventfd");
	group = test_group(0);
	left = PLACES;
	test_task(umcg_register_basic_task(0));
	for (intptr_t i = 0; i < PLACES; i++) {
		threads[i] = test_spawn(server, (void *)i);
		workers[i] = test_spawn(worker, NULL);
		while (!servers[i])
			test_nap(MS / 10);
	}

	for (long round = 1; round <= rounds; round++) {
		/* Some servers get up just while a worker comes to the list, and find nothing. */
		for (int i = 0; i < PLACES; i++) {
			uint64_t who = test_random(&seed);

			CHECK(write(doorbell, &one, sizeof(one)) == sizeof(one), "write");
			for (int j = 0; j < PLACES; j++, who >>= 2)
				if (who & 1)
					disturb(j, who & 2);
		}
		while (met < PLACES * round)
			sched_yield();
	}
	for (int i = 0; i < PLACES; i++)
		test_join(workers[i]);
	over = true;
	while (gone < PLACES) {
		for (int i = 0; i < PLACES; i++)
			disturb(i, true);
		test_nap(MS);
	}
	for (int i = 0; i < PLACES; i++)
		test_join(threads[i]);
	CHECK(left == 0, "%d workers left", left);
	printf("%ld meetings, servers left and came back %ld times\n", rounds,
	       (long)times_left);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
	return 0;
}
