// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Random operations against a model of what may happen.
 *
 * A task that another wants to wake has a permit, which the waker takes first,
 * so that there is never a second wake-up to wait for. The model: each wait
 * that ends with 0 has been allowed by exactly one permit taken, which it gives
 * back; a permit that is out can always be waited for. So no wake-up is lost,
 * none is invented, whatever else goes on: timeouts, swaps, blocks, preemption,
 * signals, servers that come and go. And no task is ever seen in a state that there is not.
 *
 * The arguments, SECONDS and SEED, run it longer or shorter, or again.
 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "util.h"

#define WORKERS	12
#define BASICS	4
#define TASKS	(WORKERS + BASICS)
#define SERVERS	3

static struct place place;
static atomic_intptr_t utids[TASKS];
static atomic_int tids[TASKS];
static atomic_bool permit[TASKS];
static atomic_bool over;
static atomic_int workers_left, basics_left;
static atomic_long waits, wakes, swaps, timeouts, preempts, signals;
static uint64_t seed_of_all;

static void legal(umcg_tid utid, bool worker)
{
	uint64_t state = umcg_get_task_state(utid);
	uint64_t flags = state & ~(uint64_t)UMCG_UTF_WAKEUP_QUEUED;

	switch (umcg_state_of(state)) {
	case UMCG_TASK_NONE:
		return;
	case UMCG_TASK_RUNNING:
		flags &= ~(uint64_t)(worker ? UMCG_TF_LOCKED | UMCG_TF_PREEMPTED : 0);
		CHECK(flags == UMCG_TASK_RUNNING, "state %lx", (long)state);
		return;
	case UMCG_TASK_IDLE:
		if (worker)
			flags &= ~(uint64_t)(UMCG_UTF_WORKER_IN_WAIT | UMCG_TF_LOCKED |
					     UMCG_TF_PREEMPTED);
		CHECK(flags == UMCG_TASK_IDLE, "state %lx", (long)state);
		return;
	default:
		/* Also in the wait whose time is up. */
		flags &= ~(uint64_t)(UMCG_TF_PREEMPTED | UMCG_UTF_WORKER_IN_WAIT);
		CHECK(worker && flags == UMCG_TASK_BLOCKED, "state %lx", (long)state);
	}
}

/* A wait of @me has ended with @ret. */
static void ended(int me, int ret)
{
	if (!ret) {
		CHECK(!permit[me], "task %d: a wake-up that no task has sent", me);
		permit[me] = true;
		waits++;
	} else {
		CHECK(errno == ETIMEDOUT, "task %d", me);
		timeouts++;
	}
}

static bool take_permit(int other)
{
	bool yes = true;

	return utids[other] && atomic_compare_exchange_strong(&permit[other], &yes, false);
}

static uint64_t some_time(uint64_t *seed)
{
	return umcg_get_time_ns() + test_random(seed) % (MS / 2);
}

static void act(int me, bool worker, uint64_t *seed)
{
	int other = (int)(test_random(seed) % TASKS);

	switch (test_random(seed) % 9) {
	case 0:
	case 1:
		if (other != me && take_permit(other)) {
			CHECK_CALL(umcg_wake(utids[other], test_random(seed) % 2), 0);
			wakes++;
		}
		break;
	case 2:
	case 3:
		if (other != me && (other < WORKERS) == worker && take_permit(other)) {
			swaps++;
			ended(me, umcg_swap(utids[other], some_time(seed)));
		}
		break;
	case 4:
		ended(me, umcg_wait(some_time(seed)));
		break;
	case 5:
		/* Without a timeout, as a wake-up must come. */
		if (!permit[me])
			ended(me, umcg_wait(0));
		break;
	case 6:
		if (test_random(seed) % 2)
			test_nap(test_random(seed) % (MS / 10));
		else
			sched_yield();
		break;
	case 7:
		/* It may have ended: ESRCH. */
		if (tids[other] && !syscall(SYS_tgkill, getpid(), (pid_t)tids[other], SIGUSR1))
			signals++;
		break;
	default:
		for (atomic_int n = (int)(test_random(seed) % 3000); n; n--)
			;
		legal(utids[other], other < WORKERS);
	}
}

static void play(int me, bool worker, atomic_int *left)
{
	uint64_t seed = seed_of_all + (uint64_t)me * 7919 + 1;
	bool yes = true;

	permit[me] = true;
	tids[me] = (int)syscall(SYS_gettid);
	utids[me] = umcg_get_utid();
	while (!over)
		act(me, worker, &seed);
	/* No task shall wake us any more; we wait for a waker that is about to. */
	if (!atomic_compare_exchange_strong(&permit[me], &yes, false)) {
		CHECK_CALL(umcg_wait(0), 0);
		waits++;
	}
	CHECK_CALL(umcg_wait(1), ETIMEDOUT);
	(*left)--;
	CHECK_CALL(umcg_unregister_task(), 0);
}

static atomic_int entered;

static void *worker(void *arg)
{
	int me = entered++;

	(void)arg;
	test_task(umcg_register_worker(place.group, me));
	play(me, true, &workers_left);
	return NULL;
}

static void *basic(void *arg)
{
	int me = WORKERS + (int)(intptr_t)arg;

	test_task(umcg_register_basic_task(me));
	play(me, false, &basics_left);
	return NULL;
}

/* Serves at random, and leaves now and then. */
static void *visitor(void *arg)
{
	uint64_t seed = seed_of_all ^ (uintptr_t)arg;
	umcg_tid w;

	while (place.alive > 0) {
		CHECK(umcg_register_server(place.group, 0), "register");
		for (uint64_t n = test_random(&seed) % 50; n && place.alive > 0; n--) {
			w = umcg_get_idle_worker(false);
			while (w) {
				w = umcg_run_worker(w);
				if (!w) {
					CHECK(!errno, "umcg_run_worker");
					place.alive--;
					break;
				}
				if (!umcg_is_preempted(w))
					break;
				if (test_random(&seed) % 2) {
					CHECK_CALL(umcg_put_idle_worker(w), 0);
					break;
				}
			}
			if (!w)
				sched_yield();
		}
		CHECK_CALL(umcg_unregister_task(), 0);
		test_nap(test_random(&seed) % MS);
	}
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	/* Waits go on after it. */
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t threads[TASKS], servers[SERVERS + 1];
	uint64_t until, seed;
	int stopped = 0;

	test_begin(argc, argv);
	CHECK_CALL(sigaction(SIGUSR1, &action, NULL), 0);
	until = umcg_get_time_ns() + (uint64_t)test_size("SECONDS", 1, 10) * 1000 * MS;
	seed_of_all = (uint64_t)test_size("SEED", 2, (long)umcg_get_time_ns()) | 1;
	printf("seed %ld\n", (long)seed_of_all);
	seed = seed_of_all;

	workers_left = WORKERS;
	basics_left = BASICS;
	place_begin(&place, UMCG_GROUP_ENABLE_PREEMPTION | UMCG_GROUP_KEEP_PREEMPTED, WORKERS);
	for (intptr_t i = 0; i < TASKS; i++)
		threads[i] = i < WORKERS ? test_spawn(worker, NULL) :
					   test_spawn(basic, (void *)(i - WORKERS));
	for (int i = 0; i < SERVERS; i++)
		servers[i] = place_server(&place);
	servers[SERVERS] = test_spawn(visitor, &place);

	while (umcg_get_time_ns() < until) {
		umcg_tid any = utids[test_random(&seed) % WORKERS];
		umcg_tid utid = TEST_PREEMPTS_INSIDE ? any : UMCG_NONE;

		if (utid && !umcg_preempt_worker(utid))
			preempts++;
		else
			CHECK(!utid || errno == EAGAIN, "umcg_preempt_worker");
		test_nap(MS / 5);
	}
	over = true;

	/* The visitor may have seen the last worker off: then the others still sleep. */
	CHECK(umcg_register_basic_task(0), "register");
	while (stopped < SERVERS) {
		for (int i = 0; i < SERVERS; i++) {
			if (!servers[i] || pthread_tryjoin_np(servers[i], NULL)) {
				umcg_tid server = place.server[i];

				if (servers[i] && place.alive == 0 && server &&
				    !(umcg_get_task_state(server) & UMCG_UTF_WAKEUP_QUEUED))
					umcg_wake(server, false);
				continue;
			}
			servers[i] = 0;
			stopped++;
		}
		test_nap(MS);
	}
	test_join(servers[SERVERS]);
	for (int i = 0; i < TASKS; i++)
		test_join(threads[i]);
	CHECK_CALL(umcg_unregister_task(), 0);
	place_end(&place);
	CHECK(waits == wakes + swaps, "%ld wake-ups, %ld waits ended", wakes + swaps,
	      (long)waits);
	printf("%ld wakes, %ld swaps, %ld timeouts, %ld preemptions (%d took), %d blocks, %ld signals\n",
	       (long)wakes, (long)swaps, (long)timeouts, (long)preempts, place.preempted,
	       place.blocked, (long)signals);
	return 0;
}
