// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Places that pass on under a scheduler: what is not told is not lost, and no thread
 * waits beside a place that nobody has. All on one CPU, where every thread that comes
 * back finds the place of the one that has blocked. The other tests run over such places,
 * too: see the file "passing".
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "sched.h"

static struct umcg_sched *s;
static atomic_bool over;
static atomic_int entered, spinning;
static int ends[4][2];

static void begin(const char *policy, uint32_t servers, uint32_t trace)
{
	static const int cpu;
	const struct umcg_sched_config config = {
		.size = sizeof(config), .policy = policy, .servers = servers, .trace = trace,
		.cpus = &cpu, .nr_cpus = 1, .flags = UMCG_SCHED_PASS_ON,
	};
	char why[UMCG_SENTENCE];

	printf("%s, %u servers\n", policy, servers);
	over = false;
	entered = spinning = 0;
	for (int i = 0; i < 4; i++)
		CHECK_CALL(pipe(ends[i]), 0);
	s = umcg_sched_create(&config, why);
	CHECK(s, "%s", why);
	CHECK_CALL(umcg_sched_start(s), 0);
}

/* All threads have left. */
static void stop(struct umcg_sched_stats *stats)
{
	CHECK_CALL(umcg_sched_stop(s), 0);
	umcg_sched_get_stats(s, stats);
	CHECK(!stats->faults && !stats->threads, "%u faults, %u threads", stats->faults, stats->threads);
	CHECK(stats->turns == stats->blocked + stats->waited + stats->preempted + stats->expired +
	      stats->yielded + stats->ended, "%lu turns", (unsigned long)stats->turns);
}

static void end(void)
{
	CHECK_CALL(umcg_sched_destroy(s), 0);
	for (int i = 0; i < 4; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
	}
}

static void enter(intptr_t me)
{
	test_pin();
	CHECK_CALL(umcg_sched_enter(s, NULL, (uint64_t)me), 0);
	entered++;
}

static void tell(intptr_t whom)
{
	CHECK(write(ends[whom][1], "", 1) == 1, "write");
}

static void hear(intptr_t me)
{
	char byte;

	CHECK(read(ends[me][0], &byte, 1) == 1, "read");
}

/* Wait until thread @tid sleeps in its read, whatever the scheduler knows of it. */
static void await_read(int tid)
{
	while (test_proc_state(tid) != 'S')
		test_nap(MS / 10);
}

static uint64_t own_cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

#define ROUNDS	2000
static _Atomic uint64_t used[2];

/* One of two that hand a byte to and fro. */
static void *talk(void *arg)
{
	intptr_t me = (intptr_t)arg;
	uint64_t began;

	enter(me);
	while (entered < 2)
		CHECK_CALL(umcg_sched_yield(), 0);
	began = own_cpu_ns();
	for (int i = 0; i < ROUNDS; i++) {
		if (me)
			hear(me);
		tell(!me);
		if (!me)
			hear(me);
	}
	used[me] = own_cpu_ns() - began;
	/* Until somebody has looked at its statistics. */
	hear(2 + me);
	return NULL;
}

/* Of the thread with this tag. */
static struct umcg_sched_thread_stats stats_of(uint64_t tag)
{
	struct umcg_sched_thread_stats one;
	uint32_t id = 0;

	while (umcg_sched_get_thread(s, &id, &one) && one.tag != tag)
		id++;
	CHECK(one.tag == tag, "thread %lu is there", (unsigned long)tag);
	return one;
}

/* Few turns are told, all service is counted, and the sums agree. */
static void test_talk(const char *policy)
{
	struct umcg_sched_stats stats;
	pthread_t thread[2];

	begin(policy, 1, 0);
	used[0] = 0;
	used[1] = 0;
	for (intptr_t i = 0; i < 2; i++)
		thread[i] = test_spawn(talk, (void *)i);
	for (uint64_t i = 0; i < 2; i++) {
		while (!used[i])
			test_nap(MS);
		await_read(stats_of(i).tid);
		CHECK(stats_of(i).ran_ns >= used[i], "it ran for %lu, and used %lu",
		      (unsigned long)stats_of(i).ran_ns, (unsigned long)used[i]);
	}
	for (intptr_t i = 0; i < 2; i++)
		tell(2 + i);
	for (int i = 0; i < 2; i++)
		test_join(thread[i]);
	stop(&stats);
	CHECK(stats.passes >= ROUNDS && stats.ended == 2, "%lu passes, %lu ended",
	      (unsigned long)stats.passes, (unsigned long)stats.ended);
	end();
}

static void *block_then_spin(void *arg)
{
	intptr_t me = (intptr_t)arg;

	enter(me);
	hear(me);
	spinning++;
	while (!over)
		;
	return NULL;
}

static void *block_then_finish(void *arg)
{
	intptr_t me = (intptr_t)arg;

	enter(me);
	hear(me);
	over = true;
	return NULL;
}

/*
 * A thread takes a place untold and computes without end; the one that comes back after
 * it must run all the same, as its policy says.
 */
static void test_hog(const char *policy, uint32_t servers)
{
	struct umcg_sched_stats stats;
	pthread_t hogs[4], last;

	begin(policy, servers, 0);
	for (intptr_t i = 0; i < (intptr_t)servers; i++)
		hogs[i] = test_spawn(block_then_spin, (void *)i);
	last = test_spawn(block_then_finish, (void *)3);
	while (entered < (int)servers + 1)
		test_nap(MS / 10);
	for (uint64_t i = 0; i < servers; i++)
		await_read(stats_of(i).tid);
	await_read(stats_of(3).tid);
	for (intptr_t i = 0; i < (intptr_t)servers; i++) {
		tell(i);
		while (spinning <= i)
			test_nap(MS / 10);
	}
	tell(3);
	test_join(last);
	for (uint32_t i = 0; i < servers; i++)
		test_join(hogs[i]);
	stop(&stats);
	CHECK(stats.preempted + stats.expired >= 1, "a thread gave way");
	end();
}

/* Where the policy lets it have its place the thread that comes back is not seen until it leaves. */
static void *block_then_end(void *arg)
{
	intptr_t me = (intptr_t)arg;

	enter(me);
	for (int i = 0; i < 3; i++)
		hear(me);
	if (me & 1)
		CHECK_CALL(umcg_sched_leave(), 0);
	return NULL;
}

static void test_ends(const char *policy, uint32_t servers)
{
	struct umcg_sched_stats stats;
	pthread_t thread[3];

	begin(policy, servers, 0);
	for (intptr_t i = 0; i < 3; i++)
		thread[i] = test_spawn(block_then_end, (void *)i);
	while (entered < 3)
		test_nap(MS / 10);
	for (int i = 0; i < 9; i++)
		tell(i % 3);
	for (int i = 0; i < 3; i++)
		test_join(thread[i]);
	/* Nobody has the places of some servers: they go home all the same. */
	stop(&stats);
	CHECK(stats.ended == 3, "%lu ended", (unsigned long)stats.ended);
	end();
}

static void *talk_and_end(void *arg)
{
	intptr_t me = (intptr_t)arg;

	enter(me);
	for (int i = 0; i < 200; i++) {
		if (me)
			hear(me);
		tell(!me);
		if (!me)
			hear(me);
		if (i % 50 == 0)
			CHECK_CALL(umcg_sched_yield(), 0);
	}
	return NULL;
}

/* Each thread's events alternate READY, RUN, STOP; what is missing is counted. */
static void test_trace(const char *policy, uint32_t servers)
{
	static struct umcg_sched_event events[65536];
	uint64_t runs = 0, last = 0, passes = 0;
	struct umcg_sched_stats stats;
	int state[2] = { 0 };
	pthread_t thread[2];
	size_t count;

	begin(policy, servers, 65536);
	for (intptr_t i = 0; i < 2; i++)
		thread[i] = test_spawn(talk_and_end, (void *)i);
	for (int i = 0; i < 2; i++)
		test_join(thread[i]);
	stop(&stats);
	count = umcg_sched_read_trace(s, events, 65536);
	for (size_t i = 0; i < count; i++) {
		struct umcg_sched_event *e = &events[i];

		CHECK(e->seq == i && e->time_ns >= last, "in order, none lost");
		last = e->time_ns;
		if (e->kind == UMCG_SCHED_EVENT_PASS)
			passes += e->arg;
		if (e->kind > UMCG_SCHED_EVENT_STOP)
			continue;
		CHECK(e->tag < 2 && (int)e->kind == state[e->tag], "event %d of thread %d in state %d",
		      e->kind, (int)e->tag, state[e->tag]);
		state[e->tag] = (state[e->tag] + 1) % 3;
		runs += e->kind == UMCG_SCHED_EVENT_RUN;
	}
	CHECK(runs == stats.turns && passes == stats.passes && passes, "%lu runs of %lu, %lu passes of %lu",
	      (unsigned long)runs, (unsigned long)stats.turns, (unsigned long)passes, (unsigned long)stats.passes);
	CHECK(stats.yielded >= 8, "%lu yields", (unsigned long)stats.yielded);
	end();
}

static void test_refused(void)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .flags = UMCG_SCHED_PASS_ON, .policy = "edf",
	};
	char why[UMCG_SENTENCE] = "";

	CHECK(!umcg_sched_create(&config, why) && errno == EINVAL && strstr(why, "does not permit"), "%s", why);
	config.policy = "las:wake=1";
	CHECK(!umcg_sched_create(&config, why) && errno == EINVAL && strstr(why, "does not permit"), "%s", why);
	config.policy = "fifo";
	config.servers = 15;
	CHECK(!umcg_sched_create(&config, why) && errno == EINVAL && strstr(why, "15 servers"), "%s", why);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	/* A page that is first touched may block, and then somebody else comes first. */
	CHECK(!mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
	test_refused();
	test_talk("fifo");
	test_talk("rr:slice_us=1000");
	test_talk("las");
	for (uint32_t servers = 1; servers <= 3; servers++) {
		test_hog("rr:slice_us=1000", servers);
		test_hog("las:quantum_us=500", servers);
		test_hog("fair:slice_us=1000", servers);
		test_hog("priority:slice_us=1000", servers);
		test_hog("steal:slice_us=1000", servers);
		test_ends("fifo", servers);
		test_ends("rr", servers);
		test_ends("priority", servers);
		test_trace("fifo", servers);
		test_trace("las", servers);
	}
	/* Each is another chance for a wake-up to come when its server is awake. */
	for (int i = 0; i < 20; i++)
		test_trace("las", 1);
	return 0;
}
