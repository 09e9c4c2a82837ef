// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Deadlines, shares, reservations, stealing: which threads these policies choose. */
#include <string.h>

#include "stage.h"

static void wants(const char *what, const char *order, const char *wanted)
{
	CHECK(!strcmp(order, wanted), "%s: %s, wanted %s", what, order, wanted);
}

static void test_lifo(void)
{
	stage_open("lifo", 1);
	stage_ready("ABC", UMCG_WHY_NEW);
	CHECK(stage_next(0) == 'C', "the newest");
	stage_stop('C', UMCG_WHY_BLOCKED);
	CHECK(stage_next(0) == 'B', "then the one before");
	stage_ready("C", UMCG_WHY_WOKEN);
	stage_stop('B', UMCG_WHY_YIELDED);
	CHECK(stage_next(0) == 'C', "C is back");
	stage_stop('C', UMCG_WHY_ENDED);
	wants("lifo: what yields goes below all", (char[]){ stage_next(0), '\0' }, "A");
}

static void test_rr(void)
{
	stage_open("rr", 1);
	stage_ready("ABC", UMCG_WHY_NEW);
	wants("rr", stage_turns(7, 10000), "ABCABCA");
	stage_open("rr:fresh=1", 1);
	stage_ready("AB", UMCG_WHY_NEW);
	wants("rr:fresh: computing", stage_turns(4, 10000), "ABAB");
	stage_ready("C", UMCG_WHY_NEW);
	wants("rr:fresh: C passes", stage_turns(4, 10000), "CABC");
}

static void test_edf(void)
{
	struct umcg_sched *s = stage_sched();

	stage_open("edf", 1);
	stage_thread('A')->deadline_ns = 30000000;
	stage_thread('B')->deadline_ns = 10000000;
	stage_thread('D')->deadline_ns = 20000000;
	stage_ready("CABD", UMCG_WHY_NEW);
	CHECK(stage_next(0) == 'B' && !s->policy->slice(s, stage_thread('B')), "the nearest");
	CHECK(!s->policy->before(s, stage_thread('D'), stage_thread('B')), "B has less time");
	stage_stop('B', UMCG_WHY_BLOCKED);
	CHECK(stage_next(0) == 'D', "then D");
	stage_ready("B", UMCG_WHY_WOKEN);
	CHECK(s->policy->before(s, stage_thread('B'), stage_thread('D')), "B takes the place");
	CHECK(s->policy->before(s, stage_thread('B'), stage_thread('C')), "and one without a deadline");
	CHECK(!s->policy->before(s, stage_thread('C'), stage_thread('D')), "which takes none");
	stage_stop('D', UMCG_WHY_PREEMPTED);
	for (const char *name = "BDAC"; *name; name++) {
		CHECK(stage_next(0) == *name, "%c is next", *name);
		stage_stop(*name, UMCG_WHY_ENDED);
	}
}

/* B is late by its deadline, A by what it still needs. */
static void test_edf_late(const char *choice, const char *order, const char *dropped)
{
	stage_open(choice, 1);
	stage_thread('A')->deadline_ns = 30000000;
	stage_thread('A')->expected_ns = 20000000;
	stage_thread('B')->deadline_ns = 10000000;
	stage_thread('C')->deadline_ns = 40000000;
	stage_thread('C')->expected_ns = 20000000;
	stage_ready("ABCD", UMCG_WHY_NEW);
	stage_time(15000);
	for (const char *name = order; *name; name++) {
		CHECK(stage_next(0) == *name, "%s: %c is next", choice, *name);
		stage_stop(*name, UMCG_WHY_ENDED);
		CHECK(!!strchr(dropped, *name) == !!(stage_thread(*name)->flags & UMCG_THREAD_DROPPED),
		      "%s: %c dropped or not", choice, *name);
	}
}

/* How often each runs in @turns, in percent. */
static unsigned int share(const char *order, char name)
{
	unsigned int count = 0;

	for (const char *o = order; *o; o++)
		count += *o == name;
	return (unsigned int)(count * 100 / strlen(order));
}

static void test_fair(void)
{
	const char *order;
	struct umcg_sched *s = stage_sched();

	stage_open("fair:slice_us=1000", 1);
	stage_thread('B')->weight = 3 * UMCG_WEIGHT_NORMAL;
	stage_ready("AB", UMCG_WHY_NEW);
	order = stage_turns(400, 1000);
	CHECK(share(order, 'A') == 25 && share(order, 'B') == 75, "%.20s", order);
	/* Sleep is not made up for; it takes the place of a thread that is ahead. */
	stage_ready("C", UMCG_WHY_NEW);
	order = stage_turns(500, 1000);
	CHECK(share(order, 'A') == 20 && share(order, 'C') == 20, "%.20s", order);

	/* Two tenants, one with one thread, one with two: half and half. */
	stage_open("fair:slice_us=1000", 1);
	stage_thread('A')->tenant = 1;
	stage_ready("ABC", UMCG_WHY_NEW);
	order = stage_turns(400, 1000);
	CHECK(share(order, 'A') == 50 && share(order, 'B') == 25, "%.20s", order);
	stage_open("fair:slice_us=1000,tenant1=3072", 1);
	stage_thread('A')->tenant = 1;
	stage_ready("ABC", UMCG_WHY_NEW);
	order = stage_turns(800, 1000);
	CHECK(share(order, 'A') == 75 && share(order, 'C') == 12, "%.20s", order);

	stage_open("fair:slice_us=1000", 1);
	stage_ready("A", UMCG_WHY_NEW);
	stage_next(0);
	stage_ready("B", UMCG_WHY_NEW);
	CHECK(!s->policy->before(s, stage_thread('B'), stage_thread('A')), "not yet");
	stage_time(1000);
	CHECK(s->policy->before(s, stage_thread('B'), stage_thread('A')), "A is a slice ahead");
}

static void test_reserve(void)
{
	struct umcg_sched *s = stage_sched();

	CHECK(strstr(stage_refused("reserve:cpus0=1,cpus1=1"), "2 CPUs are reserved, and there are 1 servers"),
	      "too many");
	stage_open("reserve:cpus1=1", 2);
	for (char name = 'A'; name <= 'C'; name++) {
		stage_thread(name)->tenant = 1;
		stage_thread(name)->priority = 1;
	}
	stage_ready("XY", UMCG_WHY_NEW);
	CHECK(stage_next(0) == 'X' && stage_next(1) == 'Y', "best effort takes what no thread wants");
	stage_ready("A", UMCG_WHY_NEW);
	CHECK(s->policy->before(s, stage_thread('A'), stage_thread('X')), "A has a CPU to claim");
	stage_stop('X', UMCG_WHY_PREEMPTED);
	CHECK(stage_next(0) == 'A' && !s->policy->slice(s, stage_thread('A')), "A");
	stage_time(10);
	stage_ready("B", UMCG_WHY_NEW);
	CHECK(!s->policy->before(s, stage_thread('B'), stage_thread('Y')), "the tenant's CPU is taken");
	CHECK(!s->policy->before(s, stage_thread('B'), stage_thread('A')), "by one of its own");
	stage_time(20);
	stage_stop('Y', UMCG_WHY_EXPIRED);
	CHECK(stage_next(1) == 'X', "best effort in its order");
	stage_stop('X', UMCG_WHY_EXPIRED);
	CHECK(stage_next(1) == 'B', "urgent work beyond its CPUs waits with the rest");
	stage_ready("C", UMCG_WHY_NEW);
	stage_stop('A', UMCG_WHY_ENDED);
	CHECK(stage_next(0) == 'C', "the reserved CPU is free again");
}

static void test_reserve_refuses(void)
{
	stage_open("reserve:refuse=2", 1);
	stage_ready("ABCD", UMCG_WHY_NEW);
	CHECK(!(stage_thread('B')->flags & UMCG_THREAD_DROPPED), "B waits");
	CHECK(stage_thread('C')->flags & UMCG_THREAD_DROPPED, "C is refused");
	for (const char *name = "CDAB"; *name; name++) {
		CHECK(stage_next(0) == *name, "%c is next", *name);
		stage_stop(*name, UMCG_WHY_ENDED);
	}
}

static void test_steal(void)
{
	stage_open("steal", 3);
	stage_ready("ABCDEF", UMCG_WHY_NEW);
	CHECK(stage_kicks[0] == 2 && stage_kicks[1] == 2 && stage_kicks[2] == 2, "two to each");
	CHECK(stage_next(0) == 'A' && stage_next(1) == 'B' && stage_next(2) == 'C', "its own first");
	stage_stop('A', UMCG_WHY_BLOCKED);
	stage_ready("A", UMCG_WHY_WOKEN);
	CHECK(stage_next(0) == 'D', "A is behind D on its server");
	stage_stop('B', UMCG_WHY_BLOCKED);
	CHECK(stage_next(1) == 'E', "E");
	stage_stop('E', UMCG_WHY_ENDED);
	CHECK(stage_next(1) == 'A', "the newest of the first of the longest queues");
	stage_stop('A', UMCG_WHY_EXPIRED);
	CHECK(stage_next(1) == 'A', "a stolen thread stays");

	stage_open("steal:steal=0", 2);
	stage_ready("AB", UMCG_WHY_NEW);
	stage_next(0);
	stage_stop('A', UMCG_WHY_ENDED);
	CHECK(stage_next(0) == '-', "B is the other's");
	CHECK(stage_sched()->flags & UMCG_MAY_IDLE, "that is meant");
}

int main(void)
{
	test_lifo();
	test_rr();
	test_edf();
	test_edf_late("edf", "BACD", "");
	test_edf_late("edf:late=last", "CDBA", "");
	test_edf_late("edf:late=drop", "BACD", "BA");
	test_fair();
	test_reserve();
	test_reserve_refuses();
	test_steal();
	return 0;
}
