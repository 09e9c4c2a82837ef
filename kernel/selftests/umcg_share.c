// SPDX-License-Identifier: MIT
/*
 * A task that hands over its CPU gets no more of it than one that wakes another and
 * sleeps, with UMCG or by futexes without it. A task that has slept comes before a
 * hog, as it is behind; may what it hands over to do so as well, though that is
 * ahead? Then no task is charged, and the hog of another user gets what is left. One that a wake-up catches has to wait for what
 * it has had too much, so there is a pool of them.
 *
 * Each runs for less than the scheduler's minimal granularity, so that no tick takes
 * the CPU away. A machine that is busy otherwise does, and then the sums differ: this
 * is for a guest whose time is the count of its instructions ("counted" in limits).
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "libbusy.h"
#include "libgroup.h"
#include "libraw.h"

#define POOL	24
#define BURST	(700 * NS_PER_MS / 1000)
#define WINDOW	(2 * NS_PER_S)

enum how { HANDED_OVER, WOKEN, PLAIN };
static const char * const how_names[] = {
	"handed over to", "woken", "woken by futex, without UMCG",
};

struct spender {
	struct umcg_task rec;
	uint32_t	go;		/* the futex: its turn has come and is not over */
	volatile pid_t	tid;
};

static struct spender pool[POOL];
static struct umcg_task lender;
static volatile pid_t lender_tid;
static volatile int ready;
static long pool_size;
static enum how how;
static pid_t hog;

static uint64_t process_ns(pid_t pid)
{
	clockid_t clock;

	CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
	return now_ns(clock);
}

static void wait_for_turn(struct spender *self)
{
	if (how != PLAIN) {
		state_set(&self->rec, RUNNING, IDLE);
		basic_wait(&self->rec);
		return;
	}
	__atomic_store_n(&self->go, 0, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&self->go, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &self->go, FUTEX_WAIT_PRIVATE, 0, NULL);
}

/* Makes it the turn of one that waits. Returns its tid, 0: they all run, or wait to. */
static pid_t next_turn(void)
{
	for (int i = 0; i < pool_size; i++) {
		uint32_t none = 0;

		if (how != PLAIN && state_cas(&pool[i].rec, IDLE, RUNNING))
			return pool[i].tid;
		if (how == PLAIN && __atomic_compare_exchange_n(&pool[i].go, &none, 1, false,
								__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			syscall(SYS_futex, &pool[i].go, FUTEX_WAKE_PRIVATE, 1);
			return pool[i].tid;
		}
	}
	return 0;
}

/* Runs for one burst whenever it is woken. */
static void *spends(void *arg)
{
	struct spender *self = arg;

	pin(0, 0);
	basic_register(&self->rec);
	self->tid = gettid();
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		uint64_t end;

		wait_for_turn(self);
		end = now_ns(CLOCK_MONOTONIC) + BURST;
		while (now_ns(CLOCK_MONOTONIC) < end)
			;
	}
	return NULL;
}

/* Sleeps while a spender runs, and a moment longer; then it is the next one's turn. */
static void *lends(void *arg)
{
	(void)arg;
	pin(0, 0);
	prctl(PR_SET_TIMERSLACK, 1);
	basic_register(&lender);
	lender_tid = gettid();
	WAIT_FOR(ready == pool_size);
	for (;;) {
		uint64_t until = now_ns(CLOCK_MONOTONIC) + BURST + BURST / 8;
		struct timespec ts = { until / NS_PER_S, until % NS_PER_S };

		lender.next_tid = next_turn();
		if (how == PLAIN) {
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
			continue;
		}
		if (how == WOKEN && lender.next_tid) {
			CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
			lender.next_tid = 0;
		}
		state_set(&lender, RUNNING, IDLE);
		CHECK_EQ(sys_wait(MONOTONIC, until), -ETIMEDOUT);
		state_set(&lender, IDLE, RUNNING);
	}
	return NULL;
}

static void spins(void *arg)
{
	(void)arg;
	pin(0, 0);
	CHECK_EQ(setresuid(65533, 65533, 65533), 0);
	for (;;)
		;
}

/* Prints, and tells in @arg, the part of the CPU that is not the hog's. */
static void compete(void *arg)
{
	volatile double *share = arg;
	uint64_t mine, its;

	CHECK_EQ(setresuid(65534, 65534, 65534), 0);
	for (long i = 0; i < pool_size; i++)
		spawn(spends, &pool[i]);
	spawn(lends, NULL);
	WAIT_FOR(lender_tid && ready == pool_size);
	nap(NS_PER_S / 2);
	mine = process_ns(getpid());
	its = process_ns(hog);
	for (;;) {
		uint64_t a, b;

		nap(20 * NS_PER_MS);
		a = process_ns(getpid()) - mine;
		b = process_ns(hog) - its;
		*share = (double)a / (a + b);
		if (a + b > WINDOW)
			break;
	}
	printf("  %ld %s: %.3f of the CPU\n", pool_size, how_names[how], *share);
	fflush(stdout);
	_exit(0);
}

/* The share of @size tasks that take turns beside the hog. */
static double share_of(long size, enum how by)
{
	static volatile double *share;

	if (!share)
		share = map_pages(1, MAP_SHARED);
	pool_size = size;
	how = by;
	check_exits(compete, (void *)share, 0, "a competitor");
	return *share;
}

static void shares(void)
{
	double plain, woken, handed;

	hog = child_start(spins, NULL);
	nap(300 * NS_PER_MS);
	handed = share_of(1, HANDED_OVER);
	if (handed > 0.55)
		FAIL("one task gets more than a half beside another one");
	plain = share_of(POOL, PLAIN);
	woken = share_of(POOL, WOKEN);
	handed = share_of(POOL, HANDED_OVER);
	if (handed > woken + 0.05 || handed > plain + 0.05)
		FAIL("a hand-over gets more than a wake-up");
	kill(hog, SIGKILL);
	child_wait(hog);
}

static void hands_to_and_fro(void)
{
	static struct busy busy;

	busy_start(&busy);
}

/* A group's quota, too, is kept by tasks that hand over. */
static void quota(void)
{
	group_try_quota(20, hands_to_and_fro, WINDOW);
}

int main(void)
{
	raw_start();
	RUN(shares);
	RUN(quota);
	return 0;
}
