// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A program for revision 0.8 of the interface: names, values and error codes as
 * published, and a server that does nothing but take an idle worker and run it,
 * again and again, through all transitions. The header comes first and alone, as
 * such programs include it.
 */
#include <libumcg.h>

/* What they take from it beside UMCG itself. */
static long from_other_headers(void)
{
	struct timespec ts = { .tv_sec = 0 };

	errno = 0;
	return clock_gettime(CLOCK_MONOTONIC, &ts) + errno + syscall(SYS_getpid) - getpid();
}

#include <signal.h>

#include "laps.h"

#define SAME(a, b)	_Static_assert((a) == (b), #a)

SAME(UMCG_NONE, 0);
SAME(UMCG_GROUP_ENABLE_PREEMPTION, 1);
SAME(UMCG_UTF_WORKER_IN_WAIT, 1 << 16);
SAME(UMCG_UTF_WAKEUP_QUEUED, 1 << 17);
SAME(UMCG_TASK_NONE, 0);
SAME(UMCG_TASK_RUNNING, 1);
SAME(UMCG_TASK_IDLE, 2);
SAME(UMCG_TASK_BLOCKED, 3);
SAME(UMCG_TF_LOCKED, 1 << 6);
SAME(UMCG_TF_PREEMPTED, 1 << 7);
SAME(UMCG_TASK_STATE_MASK, 0x3f);
SAME(UMCG_TASK_STATE_MASK_FULL, 0x3ffff);
SAME(UMCG_STATE_TIMESTAMP_BITS, 46);
SAME(UMCG_STATE_TIMESTAMP_GRANULARITY, 4);
SAME(UMCG_IDLE_NODE_PENDING, 1);
SAME(UMCG_CTL_REGISTER, 0x1);
SAME(UMCG_CTL_UNREGISTER, 0x2);
SAME(UMCG_CTL_WORKER, 0x10000);
SAME(UMCG_WAIT_WAKE_ONLY, 1);
SAME(UMCG_WAIT_WF_CURRENT_CPU, 2);
SAME(__NR_umcg_ctl, 600);
SAME(__NR_umcg_wait, 601);
SAME(sizeof(struct umcg_task), 64);
SAME(offsetof(struct umcg_task, state_ts), 0);
SAME(offsetof(struct umcg_task, next_tid), 8);
SAME(offsetof(struct umcg_task, flags), 12);
SAME(offsetof(struct umcg_task, idle_workers_ptr), 16);
SAME(offsetof(struct umcg_task, idle_server_tid_ptr), 24);
SAME(sizeof(umcg_t), sizeof(intptr_t));
SAME(sizeof(umcg_tid), sizeof(intptr_t));

/* The compiler compares the types. */
__attribute__((unused))
static const struct {
	bool (*enabled)(void);
	umcg_tid (*get_utid)(void);
	void (*set_task_tag)(umcg_tid, intptr_t);
	intptr_t (*get_task_tag)(umcg_tid);
	umcg_t (*create_group)(uint32_t);
	int (*destroy_group)(umcg_t);
	umcg_tid (*register_basic_task)(intptr_t);
	umcg_tid (*register_server)(umcg_t, intptr_t);
	umcg_tid (*register_worker)(umcg_t, intptr_t);
	int (*unregister_task)(void);
	int (*wait)(uint64_t);
	int (*wake)(umcg_tid, bool);
	int (*swap)(umcg_tid, uint64_t);
	umcg_tid (*get_idle_worker)(bool);
	umcg_tid (*run_worker)(umcg_tid);
	int (*preempt_worker)(umcg_tid);
	uint64_t (*get_task_state)(umcg_tid);
	uint64_t (*get_time_ns)(void);
} published = {
	umcg_enabled, umcg_get_utid, umcg_set_task_tag, umcg_get_task_tag,
	umcg_create_group, umcg_destroy_group, umcg_register_basic_task,
	umcg_register_server, umcg_register_worker, umcg_unregister_task, umcg_wait,
	umcg_wake, umcg_swap, umcg_get_idle_worker, umcg_run_worker,
	umcg_preempt_worker, umcg_get_task_state, umcg_get_time_ns,
};

#define WORKERS	LAPS_WORKERS

static umcg_t group;
static atomic_int left, here;
static int pipes[WORKERS][2];
static long rounds;
static atomic_long came_back;

/* Only preemption gets them on. */
static void *spins(void *arg)
{
	int me = laps_enter(group);

	(void)arg;
	laps_spin(me, rounds);
	laps_leave(me);
	return NULL;
}

/* Block and wake: a token goes round. */
static void *reads(void *arg)
{
	int me = laps_enter(group);
	char token;

	(void)arg;
	for (long i = 0; i < rounds; i++) {
		CHECK(read(pipes[me][0], &token, 1) == 1, "read");
		CHECK(write(pipes[(me + 1) % WORKERS][1], &token, 1) == 1, "write");
	}
	laps_leave(me);
	return NULL;
}

/* Timeouts and wake-ups: each wakes the next one and waits, at most a moment. */
static void *waits(void *arg)
{
	int me = laps_enter(group);

	(void)arg;
	for (long i = 0; i < rounds; i++) {
		umcg_tid next = laps_utid[(me + 1) % WORKERS];

		if (next && !(umcg_get_task_state(next) & UMCG_UTF_WAKEUP_QUEUED))
			umcg_wake(next, i % 2);
		if (umcg_wait(umcg_get_time_ns() + MS))
			CHECK(errno == ETIMEDOUT, "umcg_wait");
	}
	laps_leave(me);
	return NULL;
}

static long turn;

/* Swaps: the place goes round, and the server gets it back at the end. */
static void *swaps(void *arg)
{
	int me = laps_enter(group);

	(void)arg;
	here++;
	while (here < WORKERS)
		test_nap(MS / 10);
	if (me)
		CHECK_CALL(umcg_wait(0), 0);
	for (long i = 0; i < rounds; i++) {
		umcg_tid next = laps_utid[(me + 1) % WORKERS];

		CHECK(turn++ % WORKERS == me, "another one's turn");
		if (i < rounds - 1)
			CHECK_CALL(umcg_swap(next, 0), 0);
		else if (me < WORKERS - 1)
			CHECK_CALL(umcg_wake(next, false), 0);
	}
	laps_leave(me);
	return NULL;
}

/* The published loop. It never asks why a worker came back. */
static void *serve(void *arg)
{
	umcg_tid worker;

	(void)arg;
	CHECK(umcg_register_server(group, 0), "umcg_register_server");
	while (left > 0) {
		worker = umcg_get_idle_worker(true);
		if (!worker) {
			CHECK(errno == EINTR, "umcg_get_idle_worker");
			continue;
		}
		if (umcg_run_worker(worker))
			came_back++;
		else
			left--;
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void run(const char *name, uint32_t flags, int servers, void *(*worker)(void *arg))
{
	pthread_t threads[WORKERS], serving[2];
	umcg_tid utid;
	int stopped = 0;

	group = umcg_create_group(flags);
	CHECK(group, "umcg_create_group");
	left = WORKERS;
	here = 0;
	came_back = turn = 0;
	laps_begin();
	for (int i = 0; i < WORKERS; i++)
		threads[i] = test_spawn(worker, NULL);
	test_await(&laps_entered, WORKERS);
	for (int i = 0; i < servers; i++)
		serving[i] = test_spawn(serve, NULL);
	/* The watchdog of such a program preempts the task that runs. */
	for (int i = 0; left > 0; i = (i + 1) % WORKERS) {
		utid = laps_utid[i];
		if (flags && utid && (TEST_PREEMPTS_INSIDE || worker == spins) &&
		    umcg_preempt_worker(utid))
			CHECK(errno == EAGAIN || errno == ESRCH || errno == EINVAL,
			      "umcg_preempt_worker");
		if (i == 0)
			test_nap(MS / 2);
	}
	for (int i = 0; i < WORKERS; i++)
		test_join(threads[i]);
	/* Another server may still sleep for work. */
	while (stopped < servers) {
		for (int i = 0; i < servers; i++) {
			if (!serving[i])
				continue;
			if (pthread_tryjoin_np(serving[i], NULL)) {
				pthread_kill(serving[i], SIGUSR2);
			} else {
				serving[i] = 0;
				stopped++;
			}
		}
		test_nap(MS);
	}
	CHECK_CALL(umcg_destroy_group(group), 0);
	printf("%s, %d servers: came back %ld times\n", name, servers, (long)came_back);
	if (worker == spins)
		CHECK(came_back > 0, "no task was preempted");
}

static void nothing(int sig)
{
	(void)sig;
}

/* The error codes of misuse, as documented then. */
static void errors(void)
{
	umcg_tid self = umcg_get_utid();

	CHECK(self, "umcg_get_utid");
	CHECK_CALL(umcg_wait(0), EINVAL);
	CHECK_CALL(umcg_unregister_task(), EINVAL);
	CHECK_CALL(umcg_destroy_group(UMCG_NONE), EINVAL);
	CHECK_NONE(umcg_register_server(UMCG_NONE, 0), EINVAL);
	CHECK(umcg_register_basic_task(3) == self && umcg_get_task_tag(self) == 3, "register");
	CHECK_NONE(umcg_register_basic_task(0), EINVAL);
	CHECK_CALL(umcg_wait(1), ETIMEDOUT);
	CHECK_CALL(umcg_wake(UMCG_NONE, false), ESRCH);
	CHECK_NONE(umcg_get_idle_worker(false), EINVAL);
	CHECK_NONE(umcg_run_worker(self), EINVAL);
	CHECK_CALL(umcg_preempt_worker(self), EINVAL);
	CHECK_CALL(umcg_wake(self, false), 0);
	CHECK(umcg_get_task_state(self) == (UMCG_TASK_RUNNING | UMCG_UTF_WAKEUP_QUEUED),
	      "state");
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = nothing };
	char token = 0;

	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 20);
	CHECK(from_other_headers() == 0, "libumcg.h");
	sigaction(SIGUSR2, &sa, NULL);
	errors();
	for (int servers = 1; servers <= 2; servers++) {
		for (int i = 0; i < WORKERS; i++)
			CHECK(!pipe(pipes[i]), "pipe");
		CHECK(write(pipes[0][1], &token, 1) == 1, "write");
		run("reads", 0, servers, reads);
		run("waits", UMCG_GROUP_ENABLE_PREEMPTION, servers, waits);
		run("swaps", UMCG_GROUP_ENABLE_PREEMPTION, servers, swaps);
		run("spins, preempted by kick", UMCG_GROUP_ENABLE_PREEMPTION, servers, spins);
		run("spins, preempted by signal", UMCG_GROUP_PREEMPT_SIGNAL(SIGUSR1), servers,
		    spins);
		for (int i = 0; i < WORKERS; i++) {
			close(pipes[i][0]);
			close(pipes[i][1]);
		}
	}
	return 0;
}
