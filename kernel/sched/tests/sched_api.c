// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Misuse, statistics, the trace, what a policy sees of what programs set. */
#include <sched.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <umcg-queue.h>

#include "sched.h"

static struct umcg_sched *s;

static void refused(const struct umcg_sched_config *config, int error, const char *part)
{
	char why[UMCG_SENTENCE] = "";

	errno = 0;
	CHECK(!umcg_sched_create(config, why) && errno == error && strstr(why, part),
	      "\"%s\", wanted \"%s\"", why, part);
	CHECK(!umcg_sched_create(config, NULL) && errno == error, "without a sentence");
}

static int *volatile nowhere = (int *)(uintptr_t)8;

static int bad_init(struct umcg_sched *sched)
{
	(void)sched;
	*nowhere = 1;
	return 0;
}

static struct umcg_list queue;
static atomic_uint seen_weight, seen_tenant, seen_klass;
static atomic_int seen_priority;
static atomic_long seen_deadline, seen_expected, seen_request;

static void see(struct umcg_sched *sched, struct umcg_sched_thread *t, enum umcg_why why)
{
	(void)sched;
	(void)why;
	seen_weight = t->weight;
	seen_tenant = t->tenant;
	seen_klass = t->klass;
	seen_priority = t->priority;
	seen_deadline = (long)t->deadline_ns;
	seen_expected = (long)t->expected_ns;
	seen_request = (long)t->request_service_ns;
	umcg_list_put(&queue, umcg_thread_data(t));
}

static struct umcg_sched_thread *first(struct umcg_sched *sched, uint32_t server)
{
	struct umcg_sched_thread *t = umcg_thread_of(umcg_list_get(&queue));

	(void)sched;
	(void)server;
	if (t && t->deadline_ns == 3)
		umcg_drop(t);
	return t;
}

UMCG_POLICY(sees, .summary = "looks", .thread_size = sizeof(struct umcg_link), .ready = see,
	    .next = first);

static void test_refused(void)
{
	static struct umcg_policy bad;
	struct umcg_sched_config config = { .size = 1 };

	refused(&config, EINVAL, "another version");
	config.size = sizeof(config);
	config.policy = "nonesuch";
	refused(&config, EINVAL, "there is no policy");
	/* Statically linked these tests have no dlopen(); with a sanitizer they are dynamic. */
	config.policy = "/proc/self/exe";
	refused(&config, EINVAL, getauxval(AT_BASE) ? "no shared object that can be loaded"
						    : "a static program cannot load the policy /proc/self/exe");
	config.policy = "fifo:x=1";
	refused(&config, EINVAL, "takes no options");
	config.policy = "las:levels=3,known=1";
	refused(&config, EINVAL, "policy las: levels, known and long_percent exclude each other");
	config.policy = "reserve:cpus0=2";
	refused(&config, EINVAL, "2 CPUs are reserved");
	config.policy = NULL;
	config.servers = 100000;
	refused(&config, EINVAL, "there can be at most");
	config.servers = 1;
	bad = umcg_policy_sees;
	bad.init = bad_init;
	config.own = &bad;
	refused(&config, EINVAL, "policy sees crashed in init() (signal 11)");
	bad.abi++;
	refused(&config, EINVAL, "compile it again");
}

static atomic_intptr_t waiting;

static void *enter_and_wait(void *arg)
{
	(void)arg;
	CHECK_CALL(umcg_sched_enter(s, NULL, 1), 0);
	waiting = umcg_get_utid();
	CHECK_CALL(umcg_sched_enter(s, NULL, 1), EINVAL);
	CHECK_CALL(umcg_sched_serve(s), EINVAL);
	CHECK_CALL(umcg_wait(0), 0);
	/* Ends without leaving. */
	return NULL;
}

static void test_misuse(void)
{
	struct umcg_sched_config config = { .size = sizeof(config), .threads = 1 };
	struct umcg_sched_attr heavy = { .weight = UMCG_WEIGHT_MAX + 1 }, foreign = { .tenant = 256 };
	struct umcg_sched_thread_stats one;
	uint32_t id = 0;
	pthread_t thread;

	s = umcg_sched_create(&config, NULL);
	CHECK(s, "umcg_sched_create");
	CHECK_CALL(umcg_sched_leave(), EINVAL);
	CHECK_CALL(umcg_sched_yield(), EINVAL);
	CHECK_CALL(umcg_sched_begin_request(), EINVAL);
	CHECK(!umcg_sched_dropped(), "no thread of ours");
	CHECK_CALL(umcg_sched_set_weight(12345, 1), ESRCH);
	CHECK_CALL(umcg_sched_enter(s, &heavy, 0), EINVAL);
	CHECK_CALL(umcg_sched_enter(s, &foreign, 0), EINVAL);
	CHECK_CALL(umcg_sched_start(s), 0);
	CHECK_CALL(umcg_sched_serve(s), EBUSY);
	CHECK(!umcg_sched_get_thread(s, &id, &one), "no thread is there");
	thread = test_spawn(enter_and_wait, NULL);
	/* Read one by one while they move: its turn has ended when all of them say so. */
	while (!umcg_sched_get_thread(s, &id, &one) || one.waited != 1 ||
	       one.state != UMCG_SCHED_BLOCKED || one.turns != one.waited + one.blocked)
		id = 0;
	/* A page of its stack may have blocked it before. */
	CHECK(one.tag == 1 && !one.preempted && !one.expired && !one.yielded, "its statistics");
	CHECK_CALL(umcg_sched_enter(s, NULL, 0), EAGAIN);
	CHECK_CALL(umcg_sched_stop(s), EBUSY);
	CHECK(umcg_register_basic_task(0), "umcg_register_basic_task");
	umcg_set_task_tag(umcg_get_utid(), 5);
	CHECK_CALL(umcg_sched_set_weight(umcg_get_utid(), 1), ESRCH);
	CHECK_CALL(umcg_sched_set_weight(waiting, 1), 0);
	CHECK_CALL(umcg_wake(waiting, false), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	test_join(thread);
	sched_close(s);
}

static atomic_int waits;		/* blocks that a thread is about to begin */
static int pipe_ends[2];

/* Blocks, and is let go by await_block(). */
static void block(void)
{
	char byte;

	waits++;
	CHECK(read(pipe_ends[0], &byte, 1) == 1, "read");
}

/* Let go whoever blocks, @ns after the scheduler knows of it: a sleep may be over before it began. */
static void await_block(uint64_t ns)
{
	struct umcg_sched_thread_stats one;
	uint32_t id = 0;

	while (!waits)
		test_nap(MS / 10);
	/* Read while they move: on its way it may have blocked for a page. */
	while (!umcg_sched_get_thread(s, &id, &one) || one.state != UMCG_SCHED_BLOCKED ||
	       test_proc_state(one.tid) == 'R')
		id = 0;
	test_nap(ns);
	waits--;
	CHECK(write(pipe_ends[1], "", 1) == 1, "write");
}

static void *set_and_look(void *arg)
{
	uint64_t began;
	umcg_tid me;

	(void)arg;
	CHECK_CALL(umcg_sched_enter(s, &(struct umcg_sched_attr){ .tenant = 7 }, 5), 0);
	CHECK(seen_tenant == 7 && seen_weight == UMCG_WEIGHT_NORMAL && !seen_priority, "at first");
	me = umcg_get_utid();
	CHECK_CALL(umcg_sched_set_weight(me, 0), EINVAL);
	CHECK_CALL(umcg_sched_set_tenant(me, UMCG_TENANTS), EINVAL);
	CHECK_CALL(umcg_sched_set_weight(me, 2048), 0);
	CHECK_CALL(umcg_sched_set_tenant(me, 8), 0);
	CHECK_CALL(umcg_sched_set_klass(me, 9), 0);
	CHECK_CALL(umcg_sched_set_priority(me, -5), 0);
	CHECK_CALL(umcg_sched_set_deadline(me, 3), 0);
	CHECK_CALL(umcg_sched_set_expected(me, 77), 0);
	CHECK(seen_tenant == 7, "not before its next ready()");
	CHECK_CALL(umcg_sched_yield(), 0);
	CHECK(seen_tenant == 8 && seen_weight == 2048 && seen_klass == 9 && seen_priority == -5 &&
	      seen_deadline == 3 && seen_expected == 77, "after it");
	CHECK(umcg_sched_dropped(), "the policy dropped it");
	for (volatile int i = 0; i < 1000000; i++)
		;
	CHECK_CALL(umcg_sched_set_deadline(me, 0), 0);
	began = umcg_get_time_ns();
	CHECK_CALL(umcg_sched_begin_request(), 0);
	CHECK(!umcg_sched_dropped(), "another request");
	CHECK_CALL(umcg_sched_yield(), 0);
	CHECK(!umcg_sched_dropped() && !seen_deadline, "and it is not dropped");
	CHECK(seen_request <= (long)(umcg_get_time_ns() - began), "service of the request: %ld",
	      (long)seen_request);
	/* What a request waits for is no service. */
	began = umcg_get_time_ns();
	CHECK_CALL(umcg_sched_begin_request(), 0);
	block();
	CHECK_CALL(umcg_sched_yield(), 0);
	CHECK(seen_request + (long)(50 * MS) <= (long)(umcg_get_time_ns() - began), "it ran for %ld",
	      (long)seen_request);
	CHECK_CALL(umcg_sched_leave(), 0);
	CHECK_CALL(umcg_sched_set_weight(me, 1), ESRCH);
	return NULL;
}

static void test_attributes(void)
{
	struct umcg_sched_config config = { .size = sizeof(config), .own = &umcg_policy_sees };
	struct umcg_sched_stats stats;
	pthread_t thread;

	s = umcg_sched_create(&config, NULL);
	CHECK(s, "umcg_sched_create");
	CHECK_CALL(umcg_sched_start(s), 0);
	thread = test_spawn(set_and_look, NULL);
	await_block(50 * MS);
	test_join(thread);
	umcg_sched_get_stats(s, &stats);
	CHECK(stats.dropped == 1 && stats.yielded == 3, "%lu dropped", (unsigned long)stats.dropped);
	sched_close(s);
}

static int bell;
static atomic_bool took;

/* The kernel prefers it to workers, so it has the worker's CPU while the worker has its turn. */
static void *take_cpu(void *arg)
{
	struct sched_param param = { .sched_priority = 1 };
	uint64_t rings, until;

	test_pin();
	CHECK_CALL(sched_setscheduler(0, SCHED_FIFO, &param), 0);
	CHECK(read(bell, &rings, sizeof(rings)) == sizeof(rings), "read");
	until = umcg_get_time_ns() + 50 * MS;
	while (umcg_get_time_ns() < until)
		;
	took = true;
	return arg;
}

static void *turn_beside(void *arg)
{
	uint64_t began = umcg_get_time_ns(), one = 1;
	struct umcg_sched_thread_stats stats;
	uint32_t id = 0;

	test_pin();
	CHECK_CALL(umcg_sched_enter(s, NULL, 0), 0);
	CHECK(write(bell, &one, sizeof(one)) == sizeof(one), "write");
	while (!took)
		;
	CHECK_CALL(umcg_sched_yield(), 0);
	CHECK(umcg_sched_get_thread(s, &id, &stats), "its statistics");
	CHECK(stats.ran_ns + 50 * MS <= umcg_get_time_ns() - began, "it ran for %lu, of %lu",
	      (unsigned long)stats.ran_ns, (unsigned long)(umcg_get_time_ns() - began));
	CHECK_CALL(umcg_sched_leave(), 0);
	return arg;
}

/* CPU time that others take within a turn is no service. */
static void test_cpu_of_others(void)
{
	pthread_t thread[2];

	bell = eventfd(0, 0);
	CHECK(bell >= 0, "eventfd");
	s = sched_open("fifo", 1);
	CHECK_CALL(umcg_sched_start(s), 0);
	thread[0] = test_spawn(take_cpu, NULL);
	thread[1] = test_spawn(turn_beside, NULL);
	for (int i = 0; i < 2; i++)
		test_join(thread[i]);
	sched_close(s);
	close(bell);
}

static void *work(void *arg)
{
	CHECK_CALL(umcg_sched_enter(s, NULL, (uint64_t)(intptr_t)arg), 0);
	for (int i = 0; i < 20; i++)
		test_nap(MS / 10);
	CHECK_CALL(umcg_sched_leave(), 0);
	return NULL;
}

/* Each thread's events alternate READY, RUN, STOP; sums are those of the statistics. */
static void test_trace(void)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .servers = 2, .trace = 65536, .policy = "rr:slice_us=100",
	};
	static struct umcg_sched_event events[65536];
	uint64_t runs = 0, last = 0, sleeps = 0;
	int state[8] = { 0 };
	struct umcg_sched_stats stats;
	pthread_t thread[4];
	size_t count;

	s = umcg_sched_create(&config, NULL);
	CHECK(s, "umcg_sched_create");
	CHECK_CALL(umcg_sched_start(s), 0);
	for (intptr_t i = 0; i < 4; i++)
		thread[i] = test_spawn(work, (void *)i);
	for (int i = 0; i < 4; i++)
		test_join(thread[i]);
	CHECK_CALL(umcg_sched_stop(s), 0);
	umcg_sched_get_stats(s, &stats);
	count = umcg_sched_read_trace(s, events, 65536);
	CHECK(count > 4 * 3, "%lu events", (unsigned long)count);
	CHECK(!umcg_sched_read_trace(s, events + 1, 1), "nothing is left");
	for (size_t i = 0; i < count; i++) {
		struct umcg_sched_event *e = &events[i];

		CHECK(e->seq == i && e->time_ns >= last, "in order, none lost");
		last = e->time_ns;
		sleeps += e->kind == UMCG_SCHED_EVENT_SLEEP;
		if (e->kind > UMCG_SCHED_EVENT_STOP)
			continue;
		CHECK(e->thread < 4 && e->tid > 0 && e->tag < 4, "thread %u", e->thread);
		CHECK((int)e->kind == state[e->tag], "event %d of thread %d in state %d", e->kind,
		      (int)e->tag, state[e->tag]);
		state[e->tag] = (state[e->tag] + 1) % 3;
		runs += e->kind == UMCG_SCHED_EVENT_RUN;
	}
	CHECK(runs == stats.turns && sleeps == stats.sleeps, "%lu runs, %lu turns", (unsigned long)runs,
	      (unsigned long)stats.turns);
	CHECK(stats.turns == stats.blocked + stats.waited + stats.preempted + stats.expired +
	      stats.yielded + stats.ended && stats.ended == 4, "%lu turns", (unsigned long)stats.turns);
	CHECK_CALL(umcg_sched_destroy(s), 0);
}

static atomic_intptr_t servers[2];

/* Servers that are threads of the program's own. */
static void *serve(void *arg)
{
	servers[(intptr_t)arg] = umcg_get_utid();
	CHECK_CALL(umcg_sched_serve(s), 0);
	/* Nothing is left over that would hit what the thread does now. */
	CHECK(umcg_register_basic_task(0), "umcg_register_basic_task");
	CHECK_CALL(umcg_wait(umcg_get_time_ns() + MS), ETIMEDOUT);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void test_own_servers(void)
{
	pthread_t thread[6];

	s = sched_open("priority", 2);
	for (intptr_t i = 0; i < 2; i++) {
		servers[i] = UMCG_NONE;
		thread[i] = test_spawn(serve, (void *)i);
	}
	for (intptr_t i = 2; i < 6; i++)
		thread[i] = test_spawn(work, (void *)i);
	for (int i = 2; i < 6; i++)
		test_join(thread[i]);
	/* One that comes after the stop is refused. */
	for (int i = 0; i < 2; i++)
		while (umcg_get_task_state(servers[i]) == UMCG_TASK_NONE)
			test_nap(MS / 10);
	CHECK_CALL(umcg_sched_stop(s), 0);
	test_join(thread[0]);
	test_join(thread[1]);
	CHECK_CALL(umcg_sched_destroy(s), 0);
}

static struct umcg_sched_thread_stats kept;

static void *work_and_fork(void *arg)
{
	const struct umcg_sched_attr attr = { .stats = &kept };
	int status;
	pid_t pid;

	CHECK_CALL(umcg_sched_enter(s, &attr, 5), 0);
	for (int i = 0; i < 3; i++)
		CHECK_CALL(umcg_sched_yield(), 0);
	block();
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (!pid) {
		/* No thread is scheduled here, and there may be another scheduler. */
		CHECK_CALL(umcg_sched_yield(), EINVAL);
		CHECK_CALL(umcg_sched_destroy(s), 0);
		if (!TEST_THREADS_AFTER_FORK)
			_exit(12);
		s = sched_open("las", 1);
		CHECK_CALL(umcg_sched_start(s), 0);
		CHECK_CALL(umcg_sched_enter(s, NULL, 0), 0);
		test_nap(MS);
		CHECK_CALL(umcg_sched_leave(), 0);
		sched_close(s);
		_exit(12);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 12 << 8, "status %#x", (unsigned int)status);
	return arg;
}

/* What is kept of a thread outlives it. */
static void test_kept_and_forked(void)
{
	pthread_t thread;

	s = sched_open("rr", 2);
	CHECK_CALL(umcg_sched_start(s), 0);
	thread = test_spawn(work_and_fork, NULL);
	await_block(0);
	test_join(thread);
	sched_close(s);
	CHECK(kept.tag == 5 && kept.yielded == 3 && kept.turns >= 5 && kept.blocked && kept.ran_ns &&
	      kept.state == UMCG_SCHED_NONE, "%llu turns, %llu yields, %llu blocks, state %u",
	      (unsigned long long)kept.turns, (unsigned long long)kept.yielded,
	      (unsigned long long)kept.blocked, kept.state);
}

static atomic_int gone;

static void *come_and_go(void *arg)
{
	for (int i = 0; i < 50; i++) {
		CHECK_CALL(umcg_sched_enter(s, NULL, (uint64_t)gettid()), 0);
		CHECK_CALL(umcg_sched_leave(), 0);
	}
	gone++;
	return arg;
}

/* Statistics that are read while threads take the slots of others are of one thread each. */
static void test_read_while_slots_change_hands(void)
{
	struct umcg_sched_thread_stats one;
	pthread_t thread[3];

	s = sched_open("fifo", 2);
	CHECK_CALL(umcg_sched_start(s), 0);
	for (int i = 0; i < 3; i++)
		thread[i] = test_spawn(come_and_go, NULL);
	while (gone < 3)
		for (uint32_t id = 0; umcg_sched_get_thread(s, &id, &one); id++)
			CHECK(one.id == id && one.tag == (uint64_t)one.tid, "slot %u says id %u, tid %d, tag %llu",
			      id, one.id, one.tid, (unsigned long long)one.tag);
	for (int i = 0; i < 3; i++)
		test_join(thread[i]);
	sched_close(s);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	CHECK(!pipe(pipe_ends), "pipe");
	test_refused();
	test_misuse();
	test_attributes();
	test_cpu_of_others();
	test_trace();
	test_kept_and_forked();
	test_read_while_slots_change_hands();
	for (int i = 0; i < 5; i++)
		test_own_servers();
	return 0;
}
