// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * pthread_cancel(): each wait is a cancellation point, clean-up handlers run at
 * once, those of servers and basic tasks in a task that is RUNNING, and no other task
 * is disturbed.
 */
#include <signal.h>

#include "util.h"

static struct place place;
static atomic_intptr_t self_utid, partner;
static atomic_int cleaned, served, met;
static atomic_bool stop;

static _Thread_local bool is_worker;

/*
 * The clean-up handler may use the library like any other code of the task; that of
 * a worker that has no server just then like a signal handler.
 */
static void clean_up(void *arg)
{
	umcg_tid self = umcg_get_utid();
	uint64_t state = umcg_get_task_state(self);

	(void)arg;
	if (is_worker && umcg_wait(1)) {
		CHECK(errno == EAGAIN || errno == ETIMEDOUT, "umcg_wait");
		cleaned++;
		return;
	}
	CHECK((state & ~(uint64_t)UMCG_UTF_WAKEUP_QUEUED) == UMCG_TASK_RUNNING, "state %lx",
	      (long)state);
	if (umcg_try_wake(self, false))
		CHECK(errno == EAGAIN, "umcg_try_wake");
	CHECK_CALL(umcg_wait(0), 0);
	if (umcg_wait(1))
		CHECK(errno == ETIMEDOUT, "umcg_wait");
	cleaned++;
}

/* --- basic tasks --- */

static void *waits(void *arg)
{
	(void)arg;
	self_utid = test_task(umcg_register_basic_task(0));
	pthread_cleanup_push(clean_up, NULL);
	for (;;)
		umcg_wait(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *swaps(void *arg)
{
	(void)arg;
	self_utid = test_task(umcg_register_basic_task(0));
	pthread_cleanup_push(clean_up, NULL);
	for (;;)
		umcg_swap(partner, 0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *swap_partner(void *arg)
{
	(void)arg;
	partner = test_task(umcg_register_basic_task(0));
	while (!stop) {
		CHECK_CALL(umcg_wait(0), 0);
		met++;
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* With @queued, a cancellation that is pending before the wait begins ends it, too. */
static void cancelled(const char *name, void *(*run)(void *arg))
{
	int before = cleaned;
	pthread_t thread;

	self_utid = UMCG_NONE;
	thread = test_spawn(run, NULL);
	while (!self_utid)
		test_nap(MS / 10);
	test_state(self_utid, UMCG_TASK_IDLE);
	CHECK(!pthread_cancel(thread), "pthread_cancel");
	test_join(thread);
	CHECK(cleaned == before + 1, "%s: the clean-up handler did not run", name);
	CHECK_CALL(umcg_wake(self_utid, false), ESRCH);
}

static void *is_cancelled_before(void *arg)
{
	(void)arg;
	test_task(umcg_register_basic_task(0));
	pthread_cleanup_push(clean_up, NULL);
	pthread_cancel(pthread_self());
	/* No cancellation points. */
	umcg_wake(umcg_get_utid(), false);
	CHECK_CALL(umcg_wait(0), 0);
	umcg_wait(umcg_get_time_ns() + 1000 * MS);
	FAIL("umcg_wait() was no cancellation point");
	pthread_cleanup_pop(0);
	return NULL;
}

static void *disables(void *arg)
{
	(void)arg;
	self_utid = test_task(umcg_register_basic_task(0));
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void basic_tasks(void)
{
	pthread_t thread, other;
	int before;

	cancelled("umcg_wait", waits);

	stop = false;
	other = test_spawn(swap_partner, NULL);
	while (!partner)
		test_nap(MS / 10);
	for (int i = 0; i < 100; i++) {
		test_state(partner, UMCG_TASK_IDLE);
		before = met;
		cancelled("umcg_swap", swaps);
		/* The partner was woken all the same. */
		while (met == before)
			test_nap(MS / 10);
	}
	stop = true;
	test_state(partner, UMCG_TASK_IDLE);
	CHECK_CALL(umcg_wake(partner, false), 0);
	test_join(other);

	before = cleaned;
	test_join(test_spawn(is_cancelled_before, NULL));
	CHECK(cleaned == before + 1, "the clean-up handler did not run");

	self_utid = UMCG_NONE;
	thread = test_spawn(disables, NULL);
	while (!self_utid)
		test_nap(MS / 10);
	test_state(self_utid, UMCG_TASK_IDLE);
	CHECK(!pthread_cancel(thread), "pthread_cancel");
	test_nap(MS);
	test_state(self_utid, UMCG_TASK_IDLE);
	CHECK_CALL(umcg_wake(self_utid, false), 0);
	test_join(thread);
}

/* --- servers --- */

static void *server(void *arg)
{
	umcg_tid w;

	(void)arg;
	self_utid = test_task(umcg_register_server(place.group, 0));
	pthread_cleanup_push(clean_up, NULL);
	for (;;) {
		w = umcg_get_idle_worker(true);
		if (w)
			umcg_run_worker(w);
	}
	pthread_cleanup_pop(0);
	return NULL;
}

static void *spinner(void *arg)
{
	(void)arg;
	test_task(umcg_register_worker(place.group, 0));
	served++;
	/* Relaxed: for more ThreadSanitizer locks the variable, and a preempted worker keeps that. */
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* A server that runs a worker is cancelled: another one goes on with that worker. */
static void runs(uint32_t flags)
{
	pthread_t serving, worker;
	umcg_tid w;

	place_begin(&place, flags, 0);
	stop = false;
	served = 0;
	worker = test_spawn(spinner, NULL);
	for (int i = 0; i < 20; i++) {
		self_utid = UMCG_NONE;
		serving = test_spawn(server, NULL);
		while (!self_utid || !served)
			test_nap(MS / 10);
		test_state(self_utid, UMCG_TASK_IDLE);
		if (i % 2)
			test_nap(MS);
		CHECK(!pthread_cancel(serving), "pthread_cancel");
		test_join(serving);
	}
	CHECK(umcg_register_server(place.group, 0), "register");
	stop = true;
	do {
		w = umcg_get_idle_worker(true);
		CHECK(w, "umcg_get_idle_worker");
	} while (umcg_run_worker(w));
	CHECK(!errno, "umcg_run_worker");
	CHECK_CALL(umcg_unregister_task(), 0);
	test_join(worker);
	place_end(&place);
}

static pthread_t polling;
static atomic_bool polls;

static void is_slow(int sig)
{
	(void)sig;
	test_nap(3 * MS);
}

static void *poller(void *arg)
{
	umcg_tid w;

	(void)arg;
	test_task(umcg_register_server(place.group, 0));
	while (!stop) {
		polls = true;
		w = umcg_get_idle_worker(false);
		if (w)
			umcg_run_worker(w);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *interrupter(void *arg)
{
	(void)arg;
	while (!stop) {
		pthread_kill(polling, SIGUSR1);
		test_nap(5 * MS);
	}
	return NULL;
}

static atomic_int rounds_done;

static void *waiting_worker(void *arg)
{
	(void)arg;
	partner = test_task(umcg_register_worker(place.group, 0));
	while (!stop) {
		CHECK_CALL(umcg_wait(0), 0);
		rounds_done++;
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/*
 * Servers are cancelled while they sleep for work, some of them while they wait
 * for the group's lock, which a slow signal handler in another server keeps.
 */
static void sleeps(long times)
{
	struct sigaction sa = { .sa_handler = is_slow, .sa_flags = SA_RESTART };
	pthread_t serving, worker, signals;

	sigaction(SIGUSR1, &sa, NULL);
	place_begin(&place, 0, 0);
	stop = false;
	partner = UMCG_NONE;
	rounds_done = 0;
	worker = test_spawn(waiting_worker, NULL);
	polling = test_spawn(poller, NULL);
	while (!partner || !polls)
		test_nap(MS / 10);
	test_state(partner, WAITS);
	signals = test_spawn(interrupter, NULL);
	for (long i = 1; i <= times; i++) {
		self_utid = UMCG_NONE;
		serving = test_spawn(server, NULL);
		while (!self_utid)
			test_nap(MS / 10);
		if (i % 2)
			test_state(self_utid, UMCG_TASK_IDLE);
		CHECK(!pthread_cancel(serving), "pthread_cancel");
		test_join(serving);
		/* No task is in the way of a wake-up. */
		CHECK_CALL(umcg_wake(partner, false), 0);
		while (rounds_done < i)
			test_nap(MS / 10);
		test_state(partner, WAITS);
	}
	stop = true;
	test_join(signals);
	CHECK_CALL(umcg_wake(partner, false), 0);
	self_utid = UMCG_NONE;
	serving = test_spawn(server, NULL);
	test_join(worker);
	while (!self_utid)
		test_nap(MS / 10);
	CHECK(!pthread_cancel(serving), "pthread_cancel");
	test_join(serving);
	test_join(polling);
	place_end(&place);
}

/* --- workers --- */

enum { WAIT, WAIT_TIMED, YIELD, SWAP, SWAP_BACK, WAYS };

static atomic_intptr_t workers[WAYS];

static void *worker(void *arg)
{
	int way = (int)(intptr_t)arg;

	is_worker = true;
	CHECK(umcg_register_worker(place.group, way), "register");
	pthread_cleanup_push(clean_up, NULL);
	workers[way] = umcg_get_utid();
	for (;;) {
		switch (way) {
		case WAIT:
			umcg_wait(0);
			break;
		case WAIT_TIMED:
			umcg_wait(umcg_get_time_ns() + MS / 10);
			break;
		case YIELD:
			umcg_yield();
			break;
		default:
			/* When the other one has gone there is nothing to wait for. */
			if (umcg_swap(workers[SWAP + SWAP_BACK - way], 0))
				umcg_yield();
		}
	}
	pthread_cleanup_pop(0);
	return NULL;
}

/* Cancelled wherever they are. They end at once; their servers are told. */
static void workers_end(int servers)
{
	pthread_t threads[WAYS], serving[2];
	int before = cleaned;
	uint64_t seed = (uint64_t)before + 1;

	place_begin(&place, 0, WAYS);
	for (int i = 0; i < WAYS; i++)
		workers[i] = UMCG_NONE;
	for (intptr_t i = 0; i < WAYS; i++)
		threads[i] = test_spawn(worker, (void *)i);
	for (int i = 0; i < servers; i++)
		serving[i] = place_server(&place);
	for (int i = 0; i < WAYS; i++)
		while (!workers[i])
			test_nap(MS / 10);
	test_nap(test_random(&seed) % MS);
	for (int i = 0; i < WAYS; i++)
		CHECK(!pthread_cancel(threads[i]), "pthread_cancel");
	for (int i = 0; i < WAYS; i++) {
		test_join(threads[i]);
		CHECK(umcg_try_wake(workers[i], false) && errno == ESRCH, "umcg_try_wake");
	}
	for (int i = 0; i < servers; i++)
		test_join(serving[i]);
	place_end(&place);
	CHECK(cleaned == before + WAYS, "%d clean-up handlers", cleaned - before);
}

static void *never_run(void *arg)
{
	workers[(intptr_t)arg] = umcg_get_utid();
	umcg_register_worker(place.group, 0);
	FAIL("a task has run it");
}

/* No task has ever run them, and no task will: the group can be destroyed all the same. */
static void workers_without_server(void)
{
	pthread_t threads[WAYS];

	place_begin(&place, 0, 0);
	for (intptr_t i = 0; i < WAYS; i++) {
		workers[i] = UMCG_NONE;
		threads[i] = test_spawn(never_run, (void *)i);
	}
	for (int i = 0; i < WAYS; i++) {
		while (!workers[i])
			test_nap(MS / 10);
		test_state(workers[i], UMCG_TASK_IDLE);
	}
	for (int i = 0; i < WAYS; i++) {
		CHECK_CALL(umcg_destroy_group(place.group), EBUSY);
		CHECK(!pthread_cancel(threads[i]), "pthread_cancel");
		test_join(threads[i]);
	}
	place_end(&place);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
#ifdef __SANITIZE_THREAD__
	printf("ThreadSanitizer: its runtime ignores a thread that is cancelled in a system call\n");
	return 0;
#endif
	CHECK(umcg_register_basic_task(0), "register");
	basic_tasks();
	sleeps(test_size("TIMES", 1, 100));
	CHECK_CALL(umcg_unregister_task(), 0);
	runs(0);
	runs(UMCG_GROUP_KEEP_PREEMPTED);
	CHECK(umcg_register_basic_task(0), "register");
	for (int i = 0; i < 20; i++)
		workers_end(1 + i % 2);
	CHECK_CALL(umcg_unregister_task(), 0);
	workers_without_server();
	printf("%d clean-up handlers\n", (int)cleaned);
	return 0;
}
