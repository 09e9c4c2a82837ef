// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which thread gets a place, on the kernel. Each case ends only if the policy's promise is
 * kept: a thread that computes without end goes on until the one that must pass it
 * has run.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sched.h"

static struct umcg_sched *s;
static atomic_bool over;
static atomic_int entered, spinning, order[16], place;

struct role {
	struct umcg_sched_attr attr;
	void (*work)(int me);
	int me;
	atomic_int tid;
	atomic_intptr_t utid;
};

static void *play(void *arg)
{
	struct role *role = arg;

	role->tid = (int)syscall(SYS_gettid);
	role->utid = umcg_get_utid();
	CHECK_CALL(umcg_sched_enter(s, &role->attr, (uint64_t)role->me), 0);
	entered++;
	role->work(role->me);
	CHECK_CALL(umcg_sched_leave(), 0);
	return NULL;
}

static void hog(int me)
{
	(void)me;
	/* From here on nothing blocks it: whoever has its place has taken it. */
	spinning++;
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		;
}

static void finish(int me)
{
	order[place++] = me;
}

static void finish_all(int me)
{
	finish(me);
	over = true;
}

/* What takes its time in the kernel, so that another thread has the place meanwhile. */
static void sleep_then_finish_all(int me)
{
	test_nap(20 * MS);
	finish_all(me);
}

static void begin(const char *policy, uint32_t servers)
{
	printf("%s, %u servers\n", policy, servers);
	over = false;
	entered = spinning = place = 0;
	s = sched_open(policy, servers);
	CHECK_CALL(umcg_sched_start(s), 0);
}

/* @hogs take all places; then @late comes, which must run though they never end. */
static void passes(const char *policy, uint32_t servers, int hogs, struct umcg_sched_attr low,
		   struct umcg_sched_attr high, void (*work)(int me))
{
	pthread_t thread[8], late;
	struct role role[8], last = { .attr = high, .work = work, .me = 9 };
	struct umcg_sched_stats stats;

	begin(policy, servers);
	for (int i = 0; i < hogs; i++) {
		role[i] = (struct role){ .attr = low, .work = hog, .me = i };
		thread[i] = test_spawn(play, &role[i]);
	}
	while (spinning < (int)servers)
		test_nap(MS / 10);
	late = test_spawn(play, &last);
	test_join(late);
	CHECK(over && order[0] == 9, "it was first");
	for (int i = 0; i < hogs; i++)
		test_join(thread[i]);
	umcg_sched_get_stats(s, &stats);
	CHECK(stats.preempted + stats.expired >= 1, "a thread gave way");
	CHECK(!stats.faults, "%u faults", stats.faults);
	sched_close(s);
}

/* One server; ready in this order, run in the policy's. */
static void runs_in_order(const char *policy, const struct umcg_sched_attr *attr, int count,
			  const int *wanted)
{
	pthread_t thread[8];
	struct role role[8];

	printf("%s\n", policy);
	over = false;
	place = 0;
	s = sched_open(policy, 1);
	for (int i = 0; i < count; i++) {
		role[i] = (struct role){ .attr = attr[i], .work = finish, .me = i };
		thread[i] = test_spawn(play, &role[i]);
		/* No thread serves yet: it stands on the idle list when it sleeps. */
		while (!role[i].utid)
			test_nap(MS / 10);
		test_asleep(role[i].utid, role[i].tid);
	}
	CHECK_CALL(umcg_sched_start(s), 0);
	for (int i = 0; i < count; i++)
		test_join(thread[i]);
	for (int i = 0; i < count; i++)
		CHECK(order[i] == wanted[i], "place %d: %d, wanted %d", i, order[i], wanted[i]);
	sched_close(s);
}

static void test_order(void)
{
	const struct umcg_sched_attr attr[] = {
		{ .priority = 1, .deadline_ns = 30 * MS, .expected_ns = 2 * MS },
		{ .priority = 3, .deadline_ns = 10 * MS, .expected_ns = 3 * MS },
		{ .priority = 2, .deadline_ns = 20 * MS, .expected_ns = 1 * MS },
		{ .priority = 3 },
	};

	runs_in_order("fifo", attr, 4, (int[]){ 0, 1, 2, 3 });
	runs_in_order("lifo", attr, 4, (int[]){ 3, 2, 1, 0 });
	runs_in_order("priority", attr, 4, (int[]){ 1, 3, 2, 0 });
	runs_in_order("edf", attr, 4, (int[]){ 1, 2, 0, 3 });
	runs_in_order("las:known=1,wait_ms=0", attr, 3, (int[]){ 2, 0, 1 });
}

static atomic_int turns_of[2];

/* Each waits for the other to get on: only turns that end make both end. */
static void in_turn(int me)
{
	for (int i = 0; i < 20; i++) {
		turns_of[me]++;
		while (atomic_load_explicit(&turns_of[!me], memory_order_relaxed) < i)
			;
	}
}

static void share(const char *policy)
{
	pthread_t thread[2];
	struct role role[2];

	begin(policy, 1);
	for (int i = 0; i < 2; i++) {
		turns_of[i] = 0;
		role[i] = (struct role){ .attr = { .tenant = (uint16_t)i }, .work = in_turn, .me = i };
		thread[i] = test_spawn(play, &role[i]);
	}
	test_join(thread[0]);
	test_join(thread[1]);
	sched_close(s);
}

static atomic_int yielded[64], yields;

static void yield_in_turn(int me)
{
	/* Both are there before the first yields. */
	while (entered < 2)
		CHECK_CALL(umcg_sched_yield(), 0);
	for (int i = 0; i < 20; i++) {
		yielded[yields++] = me;
		CHECK_CALL(umcg_sched_yield(), 0);
	}
}

static void test_yield(const char *policy)
{
	struct umcg_sched_stats stats;
	pthread_t thread[2];
	struct role role[2];
	int changes = 0;

	begin(policy, 1);
	yields = 0;
	for (int i = 0; i < 2; i++) {
		role[i] = (struct role){ .work = yield_in_turn, .me = i };
		thread[i] = test_spawn(play, &role[i]);
	}
	test_join(thread[0]);
	test_join(thread[1]);
	for (int i = 1; i < 40; i++)
		changes += yielded[i] != yielded[i - 1];
	umcg_sched_get_stats(s, &stats);
	CHECK(changes >= 37, "%d changes of 39", changes);
	CHECK(stats.yielded >= 40, "%lu yields", (unsigned long)stats.yielded);
	sched_close(s);
}

/* A slice that is over ends nothing while no thread is ready. */
static void test_alone(void)
{
	struct role role = { .work = hog };
	struct umcg_sched_stats stats;
	pthread_t thread;

	begin("rr:slice_us=500", 1);
	thread = test_spawn(play, &role);
	while (!entered)
		test_nap(MS / 10);
	test_nap(50 * MS);
	over = true;
	test_join(thread);
	umcg_sched_get_stats(s, &stats);
	CHECK(!stats.expired && !stats.kicks, "%lu slices ended", (unsigned long)stats.expired);
	sched_close(s);
}

int main(int argc, char **argv)
{
	const struct umcg_sched_attr none = { .weight = 0 }, urgent = { .priority = 1 };
	const struct umcg_sched_attr soon = { .deadline_ns = 1 };

	test_begin(argc, argv);
	/* A page that is first touched may block, and then somebody else comes first. */
	CHECK(!mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
	test_order();
	for (uint32_t servers = 1; servers <= 3; servers++) {
		passes("priority", servers, (int)servers, none, urgent, finish_all);
		passes("priority", servers, (int)servers + 1, none, urgent, sleep_then_finish_all);
		passes("edf", servers, (int)servers, none, soon, sleep_then_finish_all);
		passes("las:quantum_us=500", servers, (int)servers, none, none, sleep_then_finish_all);
		passes("rr:slice_us=1000", servers, (int)servers, none, none, sleep_then_finish_all);
		passes("fair:slice_us=1000", servers, (int)servers, none, none, sleep_then_finish_all);
		passes("reserve:cpus0=1", servers, (int)servers, none, urgent, sleep_then_finish_all);
		passes("steal:slice_us=1000", servers, (int)servers, none, none, sleep_then_finish_all);
	}
	share("rr:slice_us=1000");
	share("fair:slice_us=1000");
	share("las:quantum_us=1000");
	share("las:quantum_us=1000,levels=2");
	share("edf:slice_us=1000");
	share("reserve:slice_us=1000");
	share("steal:slice_us=1000");
	share("priority:slice_us=1000");
	/* No turn ends but by a yield, however long the machine takes for it. */
	test_yield("fifo");
	test_yield("rr:slice_us=1000000");
	test_yield("lifo");
	test_alone();
	return 0;
}
