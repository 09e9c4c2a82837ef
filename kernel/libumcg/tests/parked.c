// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <sys/syscall.h>

#include "parked.h"

const char *const parked_names[PARKED] = {
	"not yet run", "on the list", "back from a block", "held by a server", "in umcg_wait()",
	"in umcg_wait() with a timeout", "in umcg_swap()", "blocked", "preempted"
};
umcg_tid parked_server;
atomic_intptr_t parked_utid[PARKED];
atomic_int parked_tid[PARKED], parked_cleaned;
pthread_t parked_thread[PARKED];

static umcg_t group;
static bool keeps;
static int pipes[PARKED][2];	/* of those that read */
static atomic_bool stop, spins;
static _Thread_local int me = -1;

int parked_me(void)
{
	return me;
}

/* Interrupted by a signal it is in no function of the library. */
static bool reads(int i)
{
	return i == BLOCKED || i == BACK;
}

/*
 * A worker that is cancelled where it is parked is as in a signal handler: it has no
 * server. One that computes is cancelled when it is run.
 */
static void clean_up(void *arg)
{
	(void)arg;
	CHECK_CALL(umcg_wait(1), me == PREEMPTED ? ETIMEDOUT : EAGAIN);
	CHECK_CALL(umcg_unregister_task(), me == PREEMPTED ? 0 : EAGAIN);
	parked_cleaned++;
}

static void work(void)
{
	char byte;

	switch (me) {
	case LISTED:
		CHECK_CALL(umcg_yield(), 0);
		break;
	case WAITING:
		CHECK_CALL(umcg_wait(0), 0);	/* until SWAPPED swaps to it */
		CHECK_CALL(umcg_wait(0), 0);
		break;
	case TIMED:
		CHECK_CALL(umcg_wait(umcg_get_time_ns() + 3600000 * MS), 0);
		break;
	case SWAPPED:
		CHECK_CALL(umcg_swap(parked_utid[WAITING], 0), 0);
		break;
	case BACK:
	case BLOCKED:
		CHECK(read(pipes[me][0], &byte, 1) == 1, "read");
		break;
	case PREEMPTED:
		spins = true;
		/* Relaxed: for more ThreadSanitizer locks the variable, and keeps it locked. */
		while (!atomic_load_explicit(&stop, memory_order_relaxed))
			;
		pthread_testcancel();
	}
}

void *parked_worker(void *arg)
{
	me = (int)(intptr_t)arg;
	parked_tid[me] = (int)syscall(SYS_gettid);
	parked_utid[me] = umcg_get_utid();
	pthread_cleanup_push(clean_up, NULL);
	CHECK(umcg_register_worker(group, me), "register");
	work();
	pthread_cleanup_pop(0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *preempts(void *arg)
{
	(void)arg;
	while (!spins)
		test_nap(MS / 10);
	while (umcg_preempt_worker(parked_utid[PREEMPTED]))
		CHECK(errno == EAGAIN, "umcg_preempt_worker");
	return NULL;
}

static uint64_t state_of(int i)
{
	switch (i) {
	case WAITING:
	case TIMED:
	case SWAPPED:
		return WAITS;
	case BLOCKED:
		return UMCG_TASK_BLOCKED;
	case PREEMPTED:
		return keeps ? UMCG_TASK_IDLE | UMCG_TF_PREEMPTED : UMCG_TASK_IDLE;
	default:
		return UMCG_TASK_IDLE;
	}
}

/* It is where it belongs for the test, and not where it was before or on its way there. */
static bool is_parked(int i, umcg_tid came_back)
{
	if (i == SWAPPED && umcg_get_task_state(parked_utid[WAITING]) != WAITS)
		return false;
	if (i == BACK)
		return umcg_get_task_state(parked_utid[i]) == UMCG_TASK_BLOCKED;
	if (i == PREEMPTED && keeps && !umcg_is_preempted(came_back))
		return false;
	if (i == PREEMPTED && !spins)
		return false;
	return umcg_get_task_state(parked_utid[i]) == state_of(i);
}

/* Run number @i until it is parked. It may block on its way, at a page's first touch. */
static void run_until_parked(int i)
{
	umcg_tid w;

	for (;;) {
		w = umcg_get_idle_worker(true);
		if (w != parked_utid[i] && (i != SWAPPED || w != parked_utid[WAITING])) {
			/* Parked on the list: behind ours, which has blocked. */
			CHECK_CALL(umcg_put_idle_worker(w), 0);
			test_nap(MS / 10);
			continue;
		}
		w = umcg_run_worker(w);
		CHECK(w, "%s: has ended", parked_names[i]);
		if (is_parked(i, w))
			return;
	}
}

static void park(int i, pthread_t thread)
{
	pthread_t watchdog;
	umcg_tid w;

	parked_thread[i] = thread;
	while (!parked_utid[i])
		test_nap(MS / 10);
	test_state(parked_utid[i], UMCG_TASK_IDLE);
	switch (i) {
	case FRESH:
		break;
	case HELD:
		/* One that blocks may have done so on its way, and be back. */
		while ((w = umcg_get_idle_worker(true)) != parked_utid[i])
			umcg_run_worker(w);
		break;
	case PREEMPTED:
		watchdog = test_spawn(preempts, NULL);
		run_until_parked(i);
		test_join(watchdog);
		break;
	case BACK:
		run_until_parked(i);
		CHECK(write(pipes[i][1], "", 1) == 1, "write");
		test_state(parked_utid[i], UMCG_TASK_IDLE);
		break;
	default:
		run_until_parked(i);
	}
}

void parked_begin(uint32_t flags, pthread_t (*spawn)(void *(*run)(void *arg), void *arg),
		  void *(*run)(void *arg))
{
	/* Those that stay on the list come last; no task is run after PREEMPTED. */
	static const int order[PARKED] = {
		BLOCKED, WAITING, SWAPPED, TIMED, HELD, PREEMPTED, LISTED, BACK, FRESH
	};

	keeps = flags & UMCG_GROUP_KEEP_PREEMPTED;
	group = umcg_create_group(UMCG_GROUP_ENABLE_PREEMPTION | flags);
	parked_server = umcg_register_server(group, 0);
	CHECK(parked_server, "register");
	stop = spins = false;
	parked_cleaned = 0;
	for (int i = 0; i < PARKED; i++) {
		CHECK(!pipe(pipes[i]), "pipe");
		parked_tid[i] = 0;
		parked_utid[i] = UMCG_NONE;
	}
	for (int i = 0; i < PARKED; i++)
		park(order[i], spawn(run, (void *)(intptr_t)order[i]));
}

static void let_go(void)
{
	CHECK_CALL(umcg_wake(parked_utid[WAITING], false), 0);
	CHECK_CALL(umcg_wake(parked_utid[TIMED], false), 0);
	CHECK_CALL(umcg_wake(parked_utid[SWAPPED], false), 0);
	CHECK(write(pipes[BLOCKED][1], "", 1) == 1, "write");
}

/* The server runs them all to their ends, or hears that they have come to it. */
static void run_to_end(bool were_cancelled)
{
	int left = PARKED;
	umcg_tid w;

	if (keeps)
		CHECK_CALL(umcg_put_idle_worker(parked_utid[PREEMPTED]), 0);
	if (keeps || !were_cancelled) {
		CHECK_CALL(umcg_put_idle_worker(parked_utid[HELD]), 0);
	} else {
		CHECK(!umcg_run_worker(parked_utid[HELD]) && !errno, "umcg_run_worker");
		left--;
	}
	while (left) {
		w = umcg_get_idle_worker(true);
		if (!w) {
			CHECK(errno == EINTR, "umcg_get_idle_worker");
			continue;
		}
		if (!umcg_run_worker(w)) {
			CHECK(!errno, "umcg_run_worker");
			left--;
		}
	}
}

void parked_end(bool were_cancelled, void (*join)(pthread_t thread))
{
	stop = true;
	if (were_cancelled) {
		for (int i = 0; i < PREEMPTED; i++)
			join(parked_thread[i]);
	} else {
		/* A system call that a signal has interrupted begins anew when the worker is run. */
		for (int i = 0; i < PARKED; i++)
			if (!reads(i) || umcg_get_task_state(parked_utid[i]) != UMCG_TASK_IDLE)
				test_state(parked_utid[i], state_of(i));
		let_go();
	}
	run_to_end(were_cancelled);
	for (int i = were_cancelled ? PREEMPTED : 0; i < PARKED; i++)
		join(parked_thread[i]);
	CHECK(parked_cleaned == (were_cancelled ? PARKED : 0), "%d clean-up handlers",
	      parked_cleaned);
	for (int i = 0; i < PARKED; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
}
