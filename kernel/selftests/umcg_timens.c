// SPDX-License-Identifier: MIT
/* Timeouts and stamps are those of the caller's time namespace. */
#include <sched.h>

#include "libraw.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x80
#endif

static struct umcg_task me;

static void inside(void *arg)
{
	uint64_t before, after, word;
	int64_t early, late;

	(void)arg;
	before = now_ns(CLOCK_MONOTONIC);
	CHECK(before > 1000000 * NS_PER_S);
	basic_register(&me);
	word = me.state_ts;
	after = now_ns(CLOCK_MONOTONIC);
	early = stamp_since(word, before);
	late = stamp_since(word, after);
	CHECK(early >= -1);		/* the last digits are cut off */
	CHECK(late <= 1);

	state_set(&me, RUNNING, IDLE);
	before = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(sys_wait(MONOTONIC, before + 50 * NS_PER_MS), -ETIMEDOUT);
	after = now_ns(CLOCK_MONOTONIC);
	CHECK(after >= before + 50 * NS_PER_MS);
	/* Long past: at once. */
	CHECK_EQ(sys_wait(MONOTONIC, 1000 * NS_PER_S), -ETIMEDOUT);
	CHECK_EQ(sys_wait(0, now_ns(CLOCK_REALTIME) + 10 * NS_PER_MS), -ETIMEDOUT);
	state_set(&me, IDLE, RUNNING);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

int main(void)
{
	raw_start();
	if (unshare(CLONE_NEWTIME))
		raw_skip("needs time namespaces, and root: %s", strerror(errno));
	write_file("/proc/self/timens_offsets", "monotonic 1000000 0\n");
	/* The next process is the first inside. */
	check_exits(inside, NULL, 0, "inside");
	return 0;
}
