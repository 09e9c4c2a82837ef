// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * rr: round robin. As fifo, but no thread runs for longer than slice_us while
 * others wait: then it goes to the end of the queue. With fresh=1 a thread that was
 * blocked goes before all whose slice is over: a thread that computes does not keep those
 * waiting that only need the server for a moment.
 *
 * Good where nothing is known and all threads are to get on: the wait is bounded by
 * the number of threads times the slice. Fails at its ends: a short slice costs a
 * switch each time, a long one is fifo again. Threads of equal length all end late.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct rr {
	uint64_t slice_us, fresh;
	struct umcg_list queue, expired;	/* expired: only with fresh */
};

struct rr_thread {
	struct umcg_link link;
};

static const struct umcg_option rr_options[] = {
	UMCG_OPTION(struct rr, slice_us, "turn in microseconds", 10000, 1, 1000000000),
	UMCG_OPTION(struct rr, fresh, "1: threads that were blocked go before those whose slice is over",
		    0, 0, 1),
	{ .name = NULL }
};

static int rr_init(struct umcg_sched *s)
{
	const struct rr *rr = umcg_sched_data(s);

	if (rr->fresh)
		s->flags |= UMCG_MAY_STARVE;
	return 0;
}

static void rr_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct rr *rr = umcg_sched_data(s);
	struct rr_thread *mine = umcg_thread_data(t);
	bool fresh = why == UMCG_WHY_NEW || why == UMCG_WHY_WOKEN;

	umcg_list_put(rr->fresh && !fresh ? &rr->expired : &rr->queue, &mine->link);
}

static struct umcg_sched_thread *rr_next(struct umcg_sched *s, uint32_t server)
{
	struct rr *rr = umcg_sched_data(s);

	(void)server;
	return umcg_thread_of(umcg_list_get(rr->queue.first ? &rr->queue : &rr->expired));
}

static uint64_t rr_slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	const struct rr *rr = umcg_sched_data(s);

	(void)t;
	return rr->slice_us * 1000;
}

static void rr_dump(struct umcg_sched *s)
{
	const struct rr *rr = umcg_sched_data(s);

	umcg_list_print(s, "queue", &rr->queue);
	if (rr->fresh)
		umcg_list_print(s, "queue of those whose slice is over", &rr->expired);
}

UMCG_POLICY(rr,
	.summary = "round robin, a bounded wait for all; "
		   "threads of equal length all end late, and each slice costs a switch",
	.flags = UMCG_MAY_PASS_ON,
	.sched_size = sizeof(struct rr),
	.thread_size = sizeof(struct rr_thread),
	.options = rr_options,
	.init = rr_init,
	.ready = rr_ready,
	.next = rr_next,
	.slice = rr_slice,
	.dump = rr_dump
);
