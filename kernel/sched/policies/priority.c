// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * priority: strict classes, as SCHED_FIFO and SCHED_RR have them. The highest
 * priority that is ready runs; within one it is first come, first served, in turns
 * of slice_us if that is given. A thread that becomes ready takes the place of one
 * of lower priority at once, and that one goes on before its equals.
 *
 * Good for urgent work beside work that can wait, if the urgent work is little:
 * its latency does not depend on the rest. Fails when there is much of it: what is
 * below may never run. It knows no inheritance: a thread of low priority that
 * holds a lock keeps those waiting that are above it.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct priority {
	uint64_t slice_us;
	struct umcg_heap queue;
};

struct priority_thread {
	struct umcg_node node;
};

static const struct umcg_option priority_options[] = {
	UMCG_OPTION(struct priority, slice_us, "turn among threads of equal priority, in microseconds; 0: no end",
		    0, 0, 1000000000),
	{ .name = NULL }
};

/* The heap wants the smallest first. */
static uint64_t priority_key(const struct umcg_sched_thread *t)
{
	return (uint64_t)((int64_t)INT32_MAX - t->priority);
}

static void priority_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct priority *priority = umcg_sched_data(s);
	struct priority_thread *mine = umcg_thread_data(t);

	if (why == UMCG_WHY_PREEMPTED)
		umcg_heap_put_first(&priority->queue, &mine->node, priority_key(t));
	else
		umcg_heap_put(&priority->queue, &mine->node, priority_key(t));
}

static struct umcg_sched_thread *priority_next(struct umcg_sched *s, uint32_t server)
{
	struct priority *priority = umcg_sched_data(s);

	(void)server;
	return umcg_thread_of(umcg_heap_get(&priority->queue));
}

static uint64_t priority_slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	struct priority *priority = umcg_sched_data(s);

	(void)t;
	return priority->slice_us * 1000;
}

static bool priority_before(struct umcg_sched *s, const struct umcg_sched_thread *a,
			    const struct umcg_sched_thread *b)
{
	(void)s;
	return a->priority > b->priority;
}

static void priority_dump(struct umcg_sched *s)
{
	struct priority *priority = umcg_sched_data(s);
	struct umcg_sched_thread *first = umcg_thread_of(priority->queue.root);

	umcg_print(s, "queue of %u", priority->queue.length);
	if (first)
		umcg_print(s, ", first %u of priority %d", first->id, first->priority);
	umcg_print(s, "\n");
}

UMCG_POLICY(priority,
	.summary = "strict classes, the highest priority first and at once; "
		   "low ones may never run beside many high ones",
	.flags = UMCG_MAY_STARVE | UMCG_MAY_PASS_ON,
	.sched_size = sizeof(struct priority),
	.thread_size = sizeof(struct priority_thread),
	.options = priority_options,
	.ready = priority_ready,
	.next = priority_next,
	.slice = priority_slice,
	.before = priority_before,
	.dump = priority_dump
);
