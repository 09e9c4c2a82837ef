// SPDX-License-Identifier: MIT
/*
 * Ranks decide within the share of a process: one of another user that computes beside
 * it keeps what it has beside plain threads that do the same, and a group's quota is
 * kept. Meant for a guest whose time is the count of its instructions ("counted" in
 * limits): the sums differ on a machine that is busy otherwise.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "libgroup.h"
#include "libplace.h"

#define WINDOW		(2 * NS_PER_S)
#define PERIOD		NS_PER_MS
#define BUSY		(PERIOD / 10 * 7)

static struct places places;
static struct seat seat;
static struct tenant hog, urgent;
static volatile bool ranks;
static volatile long wakes;

static void computes(struct tenant *t)
{
	for (;;)
		t->count++;
}

/* Busy for 70 % of the time, if it gets that. */
static void is_urgent(struct tenant *t)
{
	uint64_t when = now_ns(CLOCK_MONOTONIC), end;

	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		struct timespec ts;

		when += PERIOD;
		if (when < now_ns(CLOCK_MONOTONIC))
			when = now_ns(CLOCK_MONOTONIC) + PERIOD / 50;
		ts = (struct timespec){ when / NS_PER_S, when % NS_PER_S };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		t->count++;
		wakes++;
		end = now_ns(CLOCK_THREAD_CPUTIME_ID) + BUSY;
		while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
			;
	}
}

static void *plain(void *arg)
{
	struct tenant *t = arg;

	pin(0, 0);
	t->fn(t);
	return NULL;
}

static void start(struct tenant *t, void (*fn)(struct tenant *t), uint32_t rank)
{
	t->fn = fn;
	t->rank = rank;
	if (ranks)
		tenant_start(t, &places, fn);
	else
		spawn(plain, t);
}

/* Two that compute, one of them urgently. */
static void both(void)
{
	if (ranks) {
		places.servers = 1;
		places.permission = ADOPT | RANK;
		seat_start(&seat, &places, 0, 0);
		WAIT_FOR(state_of(&seat.rec) == (OFFERS | RANK));
	}
	start(&urgent, is_urgent, 1);
	WAIT_FOR(urgent.count);
	start(&hog, computes, 2);
	WAIT_FOR(hog.count);
}

static uint64_t process_ns(pid_t pid)
{
	clockid_t clock;

	CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
	return now_ns(clock);
}

static void spins(void *arg)
{
	(void)arg;
	pin(0, 0);
	CHECK_EQ(setresuid(65533, 65533, 65533), 0);
	for (;;)
		;
}

static pid_t other;

/* Tells in @arg what part of the CPU the other process has. */
static void compete(void *arg)
{
	volatile double *share = arg;
	uint64_t mine, its, a, b;

	CHECK_EQ(setresuid(65534, 65534, 65534), 0);
	both();
	nap(NS_PER_S / 2);
	mine = process_ns(getpid());
	its = process_ns(other);
	do {
		nap(20 * NS_PER_MS);
		a = process_ns(getpid()) - mine;
		b = process_ns(other) - its;
	} while (a + b < WINDOW);
	*share = (double)b / (a + b);
	printf("  beside %s: %.3f of the CPU, %ld wake-ups\n",
	       ranks ? "workers with ranks" : "plain threads", *share, wakes);
	fflush(stdout);
	_exit(0);
}

static double share_beside(bool with_ranks)
{
	static volatile double *share;

	if (!share)
		share = map_pages(1, MAP_SHARED);
	ranks = with_ranks;
	check_exits(compete, (void *)share, 0, "a competitor");
	return *share;
}

static void shares(void)
{
	double beside_threads, beside_ranks;

	other = child_start(spins, NULL);
	nap(300 * NS_PER_MS);
	beside_threads = share_beside(false);
	beside_ranks = share_beside(true);
	if (beside_ranks < beside_threads - 0.01)
		FAIL("ranks take from another process");
	kill(other, SIGKILL);
	child_wait(other);
}

static void with_ranks(void)
{
	ranks = true;
	both();
}

static void quota(void)
{
	group_try_quota(20, with_ranks, WINDOW);
}

int main(void)
{
	raw_start();
	RUN(shares);
	RUN(quota);
	return 0;
}
