// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Workers that a server puts back: they stand behind those that came before, a
 * server that sleeps comes for them, and a server that leaves strands no task.
 */
#include "util.h"

static umcg_t group;
static atomic_bool spins, stop;
static atomic_intptr_t utid;
static atomic_int gone;

static void *leaver(void *arg)
{
	(void)arg;
	test_task(umcg_register_worker(group, 0));
	CHECK_CALL(umcg_unregister_task(), 0);
	gone++;
	return NULL;
}

static void *spin(void)
{
	spins = true;
	/* Relaxed: for more ThreadSanitizer locks the variable, and a preempted worker keeps that. */
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	CHECK_CALL(umcg_unregister_task(), 0);
	gone++;
	return NULL;
}

static void *spinner(void *arg)
{
	(void)arg;
	utid = umcg_get_utid();
	test_task(umcg_register_worker(group, 0));
	return spin();
}

/* Takes one worker from its sleep and runs it to its end. */
static void *second(void *arg)
{
	umcg_tid w;

	(void)arg;
	utid = test_task(umcg_register_server(group, 0));
	w = umcg_get_idle_worker(true);
	CHECK(w, "umcg_get_idle_worker");
	stop = true;
	CHECK(!umcg_run_worker(w) && !errno, "did not leave");
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void order(void)
{
	pthread_t threads[3];
	umcg_tid w[3];

	test_task(umcg_register_server(group, 0));
	for (int i = 0; i < 3; i++)
		threads[i] = test_spawn(leaver, NULL);
	for (int i = 0; i < 3; i++)
		w[i] = umcg_get_idle_worker(true);
	for (int i = 2; i >= 0; i--)
		CHECK_CALL(umcg_put_idle_worker(w[i]), 0);
	CHECK_CALL(umcg_put_idle_worker(w[0]), EBUSY);
	for (int i = 2; i >= 0; i--) {
		CHECK(umcg_get_idle_worker(false) == w[i], "number %d", i);
		CHECK(!umcg_run_worker(w[i]) && !errno, "did not leave");
	}
	CHECK_CALL(umcg_put_idle_worker(w[0]), EINVAL);
	for (int i = 0; i < 3; i++)
		test_join(threads[i]);
	CHECK_CALL(umcg_unregister_task(), 0);
}

/* The other server sleeps; it is the only one that could run what is put back. */
static void wakes(void)
{
	pthread_t server, worker;
	umcg_tid w, other;

	utid = UMCG_NONE;
	test_task(umcg_register_server(group, 0));
	worker = test_spawn(leaver, NULL);
	w = umcg_get_idle_worker(true);
	server = test_spawn(second, NULL);
	while (!(other = utid))
		test_nap(MS / 10);
	test_state(other, UMCG_TASK_IDLE);
	CHECK_CALL(umcg_put_idle_worker(w), 0);
	test_join(server);
	test_join(worker);
	CHECK_CALL(umcg_unregister_task(), 0);
}

/* A worker may block on its way to where it spins: a first touch of a page. */
static void run_until_preempted(umcg_tid w)
{
	for (;;) {
		CHECK(umcg_run_worker(w) == w, "did not come back");
		if (umcg_is_preempted(w))
			break;
		CHECK(umcg_get_idle_worker(true) == w, "blocked, and did not come back");
	}
}

static void *preempts(void *arg)
{
	umcg_tid w = (umcg_tid)arg;

	while (!spins)
		test_nap(MS / 10);
	while (umcg_preempt_worker(w))
		CHECK(errno == EAGAIN, "umcg_preempt_worker");
	return NULL;
}

/* Preempted, and its server goes: another one carries on. */
static void leaves(void)
{
	pthread_t server, worker, watchdog;
	umcg_tid w;

	utid = UMCG_NONE;
	spins = stop = false;
	test_task(umcg_register_server(group, 0));
	worker = test_spawn(spinner, NULL);
	w = umcg_get_idle_worker(true);
	watchdog = test_spawn(preempts, (void *)w);
	run_until_preempted(w);
	CHECK(umcg_get_task_state(w) == (UMCG_TASK_IDLE | UMCG_TF_PREEMPTED), "state %lx",
	      (long)umcg_get_task_state(w));
	test_join(watchdog);
	CHECK_CALL(umcg_put_idle_worker(w), 0);
	CHECK(umcg_get_task_state(w) == UMCG_TASK_IDLE, "state %lx",
	      (long)umcg_get_task_state(w));
	CHECK_CALL(umcg_unregister_task(), 0);
	server = test_spawn(second, NULL);
	test_join(server);
	test_join(worker);
}

static int pipe_ends[2];
static atomic_bool held, asked;

static void *reader(void *arg)
{
	char byte;

	(void)arg;
	test_task(umcg_register_worker(group, 0));
	CHECK(read(pipe_ends[0], &byte, 1) == 1, "read");
	return spin();
}

static void *holder(void *arg)
{
	umcg_tid w;

	(void)arg;
	test_task(umcg_register_server(group, 0));
	w = umcg_get_idle_worker(true);
	run_until_preempted(w);
	held = true;
	while (!asked)
		test_nap(MS / 10);
	stop = true;
	CHECK(!umcg_run_worker(w) && !errno, "did not leave");
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Blocked under one server, preempted under another: in the hands of that alone. */
static void elsewhere(void)
{
	pthread_t server, worker;
	umcg_tid w;

	spins = stop = held = asked = false;
	CHECK(!pipe(pipe_ends), "pipe");
	test_task(umcg_register_server(group, 0));
	worker = test_spawn(reader, NULL);
	w = umcg_get_idle_worker(true);
	CHECK(umcg_run_worker(w) == w, "did not come back");
	CHECK(!umcg_is_preempted(w), "it has blocked");
	CHECK(write(pipe_ends[1], "", 1) == 1, "write");
	server = test_spawn(holder, NULL);
	while (!held) {
		if (spins && umcg_preempt_worker(w))
			CHECK(errno == EAGAIN, "umcg_preempt_worker");
		test_nap(MS / 10);
	}
	CHECK(umcg_get_task_state(w) == (UMCG_TASK_IDLE | UMCG_TF_PREEMPTED), "state %lx",
	      (long)umcg_get_task_state(w));
	CHECK(!umcg_is_preempted(w), "it is another server's");
	asked = true;
	test_join(server);
	test_join(worker);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	CHECK_CALL(umcg_unregister_task(), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	for (long n = test_size("ROUNDS", 1, 100); n; n--) {
		group = umcg_create_group(UMCG_GROUP_ENABLE_PREEMPTION |
					  UMCG_GROUP_KEEP_PREEMPTED);
		gone = 0;
		order();
		wakes();
		leaves();
		elsewhere();
		CHECK(gone == 6, "%d workers have ended", gone);
		CHECK_CALL(umcg_destroy_group(group), 0);
	}
	return 0;
}
