// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * edf: earliest deadline first. The request whose deadline is nearest runs, and
 * takes the place of one that has more time. Threads without a deadline run when
 * no other wants to, in turns of slice_us.
 *
 * Good for frames and periodic work: as long as the work fits into one CPU, every
 * deadline is met (Liu and Layland, 1973). Fails when it does not fit: then one
 * late request makes the next one late, and so on. late=last lets late work wait
 * for what can still be in time, late=drop tells it that it need not be done. Late
 * is a deadline that is over or, where programs say how much service they need,
 * one that cannot be met any more.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

enum edf_late { EDF_KEEP, EDF_LAST, EDF_DROP };

struct edf {
	uint64_t late, slice_us;
	struct umcg_heap queue;
	struct umcg_list behind;	/* without a deadline, or late */
};

struct edf_thread {
	union {
		struct umcg_node node;
		struct umcg_link link;
	};
	bool behind;			/* runs, or waits, as one of those */
};

static const struct umcg_option edf_options[] = {
	{
		.name = "late",
		.help = "late work is done in its order, or after what can be in time, or dropped",
		.choices = "keep|last|drop",
		.max = EDF_DROP,
		.offset = offsetof(struct edf, late),
	},
	UMCG_OPTION(struct edf, slice_us, "turn among threads without a deadline, in microseconds",
		    10000, 1, 1000000000),
	{ .name = NULL }
};

static bool edf_is_late(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	uint64_t needs = t->expected_ns > t->request_service_ns ? t->expected_ns - t->request_service_ns : 0;

	return umcg_now(s) + needs > t->deadline_ns;
}

static void edf_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct edf *edf = umcg_sched_data(s);
	struct edf_thread *mine = umcg_thread_data(t);

	mine->behind = !t->deadline_ns;
	if (mine->behind)
		umcg_list_put(&edf->behind, &mine->link);
	else if (why == UMCG_WHY_PREEMPTED)
		umcg_heap_put_first(&edf->queue, &mine->node, t->deadline_ns);
	else
		umcg_heap_put(&edf->queue, &mine->node, t->deadline_ns);
}

static struct umcg_sched_thread *edf_next(struct umcg_sched *s, uint32_t server)
{
	struct edf *edf = umcg_sched_data(s);
	struct umcg_node *node;

	(void)server;
	while ((node = umcg_heap_get(&edf->queue))) {
		struct umcg_sched_thread *t = umcg_thread_of(node);
		struct edf_thread *mine = umcg_thread_data(t);

		if (edf->late == EDF_KEEP || !edf_is_late(s, t))
			return t;
		if (edf->late == EDF_DROP) {
			umcg_drop(t);
			return t;
		}
		mine->behind = true;
		umcg_list_put(&edf->behind, &mine->link);
	}
	return umcg_thread_of(umcg_list_get(&edf->behind));
}

static uint64_t edf_slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	const struct edf *edf = umcg_sched_data(s);
	const struct edf_thread *mine = umcg_thread_data(t);

	return mine->behind ? edf->slice_us * 1000 : 0;
}

static bool edf_before(struct umcg_sched *s, const struct umcg_sched_thread *a,
		       const struct umcg_sched_thread *b)
{
	const struct edf_thread *one = umcg_thread_data(a), *other = umcg_thread_data(b);

	(void)s;
	if (one->behind || other->behind)
		return !one->behind;
	return a->deadline_ns < b->deadline_ns;
}

static void edf_dump(struct umcg_sched *s)
{
	const struct edf *edf = umcg_sched_data(s);
	struct umcg_sched_thread *first = umcg_thread_of(edf->queue.root);

	umcg_print(s, "queue of %u with a deadline", edf->queue.length);
	if (first)
		umcg_print(s, ", first %u", first->id);
	umcg_print(s, "; %u behind\n", edf->behind.length);
}

UMCG_POLICY(edf,
	.summary = "earliest deadline first, every deadline is met while the work fits; "
		   "when it does not, one late request makes the next ones late",
	.flags = UMCG_MAY_STARVE,
	.sched_size = sizeof(struct edf),
	.thread_size = sizeof(struct edf_thread),
	.options = edf_options,
	.ready = edf_ready,
	.next = edf_next,
	.slice = edf_slice,
	.before = edf_before,
	.dump = edf_dump
);
