// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The transition trace: what it tells, that it is off, that it counts what it loses. */
#include <sys/syscall.h>

#include "util.h"

#define IDLE	UMCG_TASK_IDLE
#define RUNNING	UMCG_TASK_RUNNING
#define BLOCKED	UMCG_TASK_BLOCKED

static struct umcg_trace_record records[8192];
static umcg_t group;
static atomic_int server_tid, worker_tid;
static int channel[2];

static void *worker(void *arg)
{
	char byte;

	(void)arg;
	worker_tid = (int)syscall(SYS_gettid);
	CHECK(umcg_register_worker(group, 0), "register");
	CHECK(read(channel[0], &byte, 1) == 1, "read");
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* One worker that blocks, waits, is woken and ends, as its server does it. */
static void scene(void)
{
	pthread_t thread;
	umcg_tid w;

	CHECK(umcg_register_server(group, 0), "register");
	server_tid = (int)syscall(SYS_gettid);
	thread = test_spawn(worker, NULL);
	w = umcg_get_idle_worker(true);
	CHECK(umcg_run_worker(w) == w, "did not block");
	CHECK(write(channel[1], "", 1) == 1, "write");
	CHECK(umcg_get_idle_worker(true) == w, "did not wake");
	CHECK(umcg_run_worker(w) == w, "did not wait");
	CHECK_CALL(umcg_wake(w, false), 0);
	CHECK(umcg_get_idle_worker(false) == w, "not on the list");
	CHECK(umcg_run_worker(w) == UMCG_NONE && !errno, "did not leave");
	CHECK_CALL(umcg_unregister_task(), 0);
	test_join(thread);
}

static int by_time(const void *a, const void *b)
{
	const struct umcg_trace_record *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

struct expected {
	enum umcg_trace_kind kind;
	uint32_t old_state, new_state;
	bool peer;
};

/* The records of thread @tid are just these (sleeps of the server apart). */
static void compare(const char *who, int tid, int peer, ssize_t n,
		    const struct expected *expected, int count)
{
	int at = 0;

	for (ssize_t i = 0; i < n; i++) {
		const struct umcg_trace_record *r = &records[i];

		if (r->tid != tid || r->kind == UMCG_TRACE_SLEEP ||
		    (r->kind == UMCG_TRACE_WAKE && tid == server_tid))
			continue;
		CHECK(at < count, "%s: one too many, kind %u", who, r->kind);
		CHECK(r->kind == expected[at].kind && r->old_state == expected[at].old_state &&
		      r->new_state == expected[at].new_state,
		      "%s, record %d: kind %u, %x -> %x", who, at, r->kind, r->old_state,
		      r->new_state);
		CHECK(r->peer == (expected[at].peer ? peer : 0), "%s, record %d: peer %d", who,
		      at, r->peer);
		CHECK(r->group == group && r->cpu >= 0, "group %lx, cpu %d", (long)r->group,
		      r->cpu);
		/* What was seen afterwards tells when it was. */
		if (r->kind == UMCG_TRACE_POP || r->kind == UMCG_TRACE_RETURN)
			CHECK(r->arg && r->arg <= r->time_ns + 1000 &&
			      r->arg + 60000 * MS > r->time_ns, "arg %ld at %ld",
			      (long)r->arg, (long)r->time_ns);
		at++;
	}
	CHECK(at == count, "%s: %d records instead of %d", who, at, count);
}

static void story(void)
{
	static const struct expected worker_story[] = {
		{ UMCG_TRACE_REGISTER, UMCG_TASK_NONE, BLOCKED, false },
		{ UMCG_TRACE_POP, IDLE, IDLE, true },
		{ UMCG_TRACE_RUN, IDLE, RUNNING, true },
		{ UMCG_TRACE_BLOCK, RUNNING, BLOCKED, true },
		{ UMCG_TRACE_POP, IDLE, IDLE, true },
		{ UMCG_TRACE_RUN, IDLE, RUNNING, true },
		{ UMCG_TRACE_WAIT, RUNNING, WAITS, true },
		{ UMCG_TRACE_WAKE, WAITS, IDLE, true },
		{ UMCG_TRACE_POP, IDLE, IDLE, true },
		{ UMCG_TRACE_RUN, IDLE, RUNNING, true },
		{ UMCG_TRACE_UNREGISTER, RUNNING, UMCG_TASK_NONE, true },
	};
	static const struct expected server_story[] = {
		{ UMCG_TRACE_REGISTER, UMCG_TASK_NONE, RUNNING, false },
		{ UMCG_TRACE_LEND, RUNNING, IDLE, true },
		{ UMCG_TRACE_RETURN, IDLE, RUNNING, true },
		{ UMCG_TRACE_LEND, RUNNING, IDLE, true },
		{ UMCG_TRACE_RETURN, IDLE, RUNNING, true },
		{ UMCG_TRACE_LEND, RUNNING, IDLE, true },
		{ UMCG_TRACE_RETURN, IDLE, RUNNING, false },
		{ UMCG_TRACE_UNREGISTER, RUNNING, UMCG_TASK_NONE, false },
	};
	ssize_t n;

	CHECK_CALL(umcg_trace_enable(group, true), 0);
	scene();
	CHECK_CALL(umcg_trace_enable(group, false), 0);
	n = umcg_trace_read(records, 8192);
	CHECK(umcg_trace_lost(group) == 0, "lost some");
	qsort(records, (size_t)n, sizeof(*records), by_time);
	compare("worker", worker_tid, server_tid, n, worker_story, 11);
	compare("server", server_tid, worker_tid, n, server_story, 8);
}

/* Twice as many as fit, and no task reads: the first stay, the rest is counted. */
static void overflow(void)
{
	umcg_tid self = umcg_register_basic_task(0);
	uint64_t lost = umcg_trace_lost(UMCG_NONE);
	long n = 0, made = 20000;

	CHECK(self, "register");
	CHECK_CALL(umcg_trace_enable(UMCG_NONE, true), 0);
	for (long i = 0; i < made / 2; i++) {
		CHECK_CALL(umcg_wake(self, false), 0);
		CHECK_CALL(umcg_wait(0), 0);
	}
	CHECK_CALL(umcg_trace_enable(UMCG_NONE, false), 0);
	for (ssize_t got; (got = umcg_trace_read(records, 1000)); n += got)
		for (ssize_t i = 0; i < got; i++)
			CHECK(records[i].kind == ((n + i) % 2 ? UMCG_TRACE_CONSUME :
								UMCG_TRACE_QUEUE),
			      "record %ld: kind %u", n + i, records[i].kind);
	lost = umcg_trace_lost(UMCG_NONE) - lost;
	CHECK(n > 0 && lost > 0 && n + (long)lost == made, "%ld read, %ld lost of %ld", n,
	      (long)lost, made);
	printf("%ld read, %ld lost\n", n, (long)lost);
	CHECK_CALL(umcg_unregister_task(), 0);
}

static atomic_bool reading;
static atomic_long drained;

static void *reader(void *arg)
{
	struct umcg_trace_record some[64];
	uint64_t last = 0;
	ssize_t got;

	(void)arg;
	do {
		bool more = reading;

		got = umcg_trace_read(some, 64);
		for (ssize_t i = 0; i < got; i++) {
			CHECK(some[i].kind == UMCG_TRACE_QUEUE ||
			      some[i].kind == UMCG_TRACE_CONSUME, "kind %u", some[i].kind);
			CHECK(some[i].time_ns >= last, "back in time");
			last = some[i].time_ns;
		}
		drained += got;
		if (!more && !got)
			break;
	} while (true);
	return NULL;
}

/* Two read while one writes: each record is read once, or counted as lost. */
static void while_running(void)
{
	umcg_tid self = umcg_register_basic_task(0);
	uint64_t lost = umcg_trace_lost(UMCG_NONE);
	pthread_t readers[2];
	long made = 40000;

	CHECK(self, "register");
	reading = true;
	for (int i = 0; i < 2; i++)
		readers[i] = test_spawn(reader, NULL);
	CHECK_CALL(umcg_trace_enable(UMCG_NONE, true), 0);
	for (long i = 0; i < made / 2; i++) {
		CHECK_CALL(umcg_wake(self, false), 0);
		CHECK_CALL(umcg_wait(0), 0);
	}
	CHECK_CALL(umcg_trace_enable(UMCG_NONE, false), 0);
	reading = false;
	for (int i = 0; i < 2; i++)
		test_join(readers[i]);
	lost = umcg_trace_lost(UMCG_NONE) - lost;
	CHECK(drained + (long)lost == made, "%ld read, %ld lost of %ld", (long)drained,
	      (long)lost, made);
	CHECK_CALL(umcg_unregister_task(), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	CHECK(!pipe(channel), "pipe");
	group = umcg_create_group(0);
	scene();
	CHECK(umcg_trace_read(records, 8192) == 0, "traced though it is off");
	story();
	overflow();
	while_running();
	CHECK_CALL((int)umcg_trace_read(NULL, 1), EINVAL);
	CHECK(umcg_trace_read(NULL, 0) == 0, "nothing was asked for");
	CHECK_CALL(umcg_destroy_group(group), 0);
	return 0;
}
