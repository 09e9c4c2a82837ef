// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Whom the policies choose, by tables that one can do by hand. */
#include <string.h>

#include "stage.h"

static void wants(const char *what, const char *order, const char *wanted)
{
	CHECK(!strcmp(order, wanted), "%s: %s, wanted %s", what, order, wanted);
}

static void test_fifo(void)
{
	stage_open("fifo", 1);
	stage_ready("BAC", UMCG_WHY_NEW);
	wants("fifo", (char[]){ stage_next(0), '\0' }, "B");
	stage_stop('B', UMCG_WHY_PREEMPTED);
	wants("fifo: a preempted thread goes on first", stage_turns(4, 10), "BACB");
	CHECK(!strcmp(stage_dump(), "queue of 3, next first: 0 2 1\n"), "%s", stage_dump());
	stage_next(0);
	stage_stop('A', UMCG_WHY_BLOCKED);
	wants("fifo: one is blocked", stage_turns(3, 10), "CBC");
	stage_ready("A", UMCG_WHY_WOKEN);
	wants("fifo: it is back", stage_turns(3, 10), "BCA");
}

static void test_priority(void)
{
	struct umcg_sched *s = stage_sched();

	stage_open("priority:slice_us=100", 1);
	stage_thread('C')->priority = 5;
	stage_thread('D')->priority = 5;
	stage_thread('E')->priority = -1;
	stage_ready("EABCD", UMCG_WHY_NEW);
	wants("priority", stage_turns(4, 100), "CDCD");
	CHECK(s->policy->slice(s, stage_thread('A')) == 100000, "slice");
	stage_next(0);
	stage_stop('C', UMCG_WHY_BLOCKED);
	stage_next(0);
	stage_stop('D', UMCG_WHY_ENDED);
	wants("priority: the next class", (char[]){ stage_next(0), '\0' }, "A");
	stage_ready("C", UMCG_WHY_WOKEN);
	CHECK(s->policy->before(s, stage_thread('C'), stage_thread('A')), "C goes before A");
	CHECK(!s->policy->before(s, stage_thread('B'), stage_thread('A')), "B does not");
	stage_stop('A', UMCG_WHY_PREEMPTED);
	CHECK(stage_next(0) == 'C', "C has the place");
	stage_stop('C', UMCG_WHY_BLOCKED);
	wants("priority: A goes on, then it is B's turn", stage_turns(4, 100), "ABAB");
}

static void test_las(void)
{
	struct umcg_sched *s = stage_sched();

	stage_open("las:quantum_us=1000,wait_ms=0", 1);
	stage_ready("A", UMCG_WHY_NEW);
	wants("las: alone", stage_turns(3, 1000), "AAA");
	stage_ready("B", UMCG_WHY_NEW);
	wants("las: B catches up, then they share", stage_turns(7, 1000), "BBBABAB");
	stage_next(0);
	CHECK(!s->policy->before(s, stage_thread('B'), stage_thread('A')), "B has run as long as A");
	stage_ready("C", UMCG_WHY_NEW);
	CHECK(s->policy->before(s, stage_thread('C'), stage_thread('A')), "C is new");
}

/* No thread waits for longer than wait_ms beside new threads without end. */
static void test_las_bound(void)
{
	uint64_t us = 0, served = 0;

	stage_open("las:quantum_us=1000,wait_ms=5", 1);
	stage_thread('A')->request_service_ns = 1000000000;
	stage_ready("AB", UMCG_WHY_NEW);
	for (char name = 'C'; name < 'C' + 50; name++) {
		char next;

		stage_time(us);
		stage_ready((char[]){ name, '\0' }, UMCG_WHY_NEW);
		next = stage_next(0);
		us += 1000;
		stage_time(us);
		if (next == 'A') {
			CHECK(us - served <= 8000, "A has waited for %u us", (unsigned int)(us - served));
			served = us;
			stage_stop(next, UMCG_WHY_EXPIRED);
		} else {
			stage_stop(next, UMCG_WHY_ENDED);
		}
	}
	CHECK(served > 40000, "A was served last at %u us", (unsigned int)served);
}

/* Arpaci-Dusseau, chapter 8: three queues, a long job and a short one. */
static void test_las_levels(void)
{
	struct umcg_sched *s = stage_sched();

	stage_open("las:levels=3,quantum_us=10000,wait_ms=0", 1);
	stage_ready("A", UMCG_WHY_NEW);
	CHECK(stage_next(0) == 'A' && s->policy->slice(s, stage_thread('A')) == 10000000, "top");
	stage_time(10000);
	stage_stop('A', UMCG_WHY_EXPIRED);
	CHECK(stage_next(0) == 'A' && s->policy->slice(s, stage_thread('A')) == 20000000, "middle");
	stage_time(30000);
	stage_stop('A', UMCG_WHY_EXPIRED);
	CHECK(stage_next(0) == 'A' && s->policy->slice(s, stage_thread('A')) == 40000000, "bottom");
	stage_time(40000);
	stage_ready("B", UMCG_WHY_NEW);
	CHECK(s->policy->before(s, stage_thread('B'), stage_thread('A')), "B is above");
	stage_stop('A', UMCG_WHY_PREEMPTED);
	CHECK(stage_next(0) == 'B', "B has the place");
	stage_time(44000);
	stage_stop('B', UMCG_WHY_BLOCKED);
	CHECK(stage_next(0) == 'A', "A goes on");
	stage_ready("B", UMCG_WHY_WOKEN);
	stage_stop('A', UMCG_WHY_PREEMPTED);
	CHECK(stage_next(0) == 'B' && s->policy->slice(s, stage_thread('B')) == 6000000,
	      "what was left of B's share");
}

static void test_las_boost(void)
{
	stage_open("las:levels=2,quantum_us=1000,wait_ms=0,boost_ms=100", 1);
	stage_thread('A')->request_service_ns = 5000000;
	stage_ready("AB", UMCG_WHY_NEW);
	CHECK(stage_next(0) == 'B', "A is below");
	stage_time(101000);
	stage_stop('B', UMCG_WHY_EXPIRED);
	CHECK(stage_next(0) == 'A', "A is at the top again, and before B");
}

static void test_las_known(void)
{
	struct umcg_sched *s = stage_sched();

	stage_open("las:known=1,wait_ms=0", 1);
	for (int i = 0; i < 3; i++)
		stage_thread((char)('A' + i))->expected_ns = (uint64_t)(3 - i) * 10000000;
	stage_ready("ABC", UMCG_WHY_NEW);
	CHECK(stage_next(0) == 'C' && !s->policy->slice(s, stage_thread('C')), "the shortest");
	CHECK(!s->policy->before(s, stage_thread('B'), stage_thread('C')), "B is longer");
	stage_stop('C', UMCG_WHY_ENDED);
	CHECK(stage_next(0) == 'B', "B");
	stage_time(15000);
	stage_thread('D')->expected_ns = 5000000;
	stage_ready("D", UMCG_WHY_NEW);
	CHECK(!s->policy->before(s, stage_thread('D'), stage_thread('B')), "B has 5 ms left, too");
	CHECK(strstr(stage_refused("las:known=1,levels=3"), "exclude"), "known and levels");
}

/* Long A and B beside short ones without end: a quarter is theirs, in turns, and a turn is not cut. */
static void test_las_share(void)
{
	struct umcg_sched *s = stage_sched();
	uint64_t us = 0, ran[2] = { 0 }, gone = 0;
	char next;

	stage_open("las:quantum_us=1000,wait_ms=0,long_percent=25", 1);
	stage_thread('A')->request_service_ns = 5000000;
	stage_thread('B')->request_service_ns = 900000000;
	stage_ready("ABCD", UMCG_WHY_NEW);
	for (int i = 0; i < 2000; i++) {
		next = stage_next(0);
		us += next < 'C' ? 1000 : 200;
		stage_time(us - 100);
		if (next < 'C') {
			ran[next - 'A'] += 1000;
			CHECK(!s->policy->before(s, stage_thread('C'), stage_thread(next)), "its turn");
		}
		stage_time(us);
		if (next < 'C') {
			stage_stop(next, UMCG_WHY_EXPIRED);
			continue;
		}
		CHECK(us - gone < 2000 || i < 50, "a short one waited for %u us", (unsigned int)(us - gone));
		gone = us;
		stage_stop(next, UMCG_WHY_BLOCKED);
		stage_thread(next)->request_service_ns = 0;
		stage_thread(next)->request_ns = us * 1000;
		stage_ready((char[]){ next, '\0' }, UMCG_WHY_WOKEN);
	}
	CHECK((ran[0] + ran[1]) * 100 > us * 24 && (ran[0] + ran[1]) * 100 < us * 27, "%u of %u us",
	      (unsigned int)(ran[0] + ran[1]), (unsigned int)us);
	CHECK(ran[0] <= ran[1] + 1000 && ran[1] <= ran[0] + 1000, "A and B share it");
	CHECK(strstr(stage_refused("las:levels=3,long_percent=1"), "exclude"), "levels and long_percent");
}

/* Beside new requests of 100 us without end: one that has had 500 already, and a long one. */
static void test_las_share_of_all(void)
{
	uint64_t us = 0, ran = 0;
	bool served = false;
	char next;

	stage_open("las:quantum_us=1000,wait_ms=0,long_percent=25", 1);
	stage_thread('A')->request_service_ns = 5000000;
	stage_thread('B')->request_service_ns = 500000;
	stage_ready("BACD", UMCG_WHY_NEW);
	for (int i = 0; i < 200; i++) {
		next = stage_next(0);
		us += next == 'A' ? 1000 : 100;
		stage_time(us);
		if (next == 'A') {
			ran += 1000;
			stage_stop(next, UMCG_WHY_EXPIRED);
			continue;
		}
		served = served || next == 'B';
		stage_stop(next, UMCG_WHY_BLOCKED);
		if (next == 'B')
			continue;
		stage_thread(next)->request_service_ns = 0;
		stage_thread(next)->request_ns = us * 1000;
		stage_ready((char[]){ next, '\0' }, UMCG_WHY_WOKEN);
	}
	CHECK(served, "B never ran in %u us", (unsigned int)us);
	CHECK(ran * 100 > us * 24 && ran * 100 < us * 29, "A had %u of %u us", (unsigned int)ran, (unsigned int)us);
}

int main(void)
{
	test_fifo();
	test_priority();
	test_las();
	test_las_bound();
	test_las_levels();
	test_las_boost();
	test_las_known();
	test_las_share();
	test_las_share_of_all();
	return 0;
}
