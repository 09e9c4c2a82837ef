// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Statistics, read while they move. */
#include "internal.h"

#define COPY(field)	(stats->field = load(&from->field))

EXPORT void umcg_sched_get_stats(struct umcg_sched *s, struct umcg_sched_stats *stats)
{
	struct runtime *rt = runtime_of(s);
	const struct umcg_sched_stats *from = &rt->stats;

	COPY(turns);
	COPY(blocked);
	COPY(waited);
	COPY(preempted);
	COPY(expired);
	COPY(yielded);
	COPY(ended);
	COPY(sleeps);
	COPY(wakeups);
	COPY(kicks);
	COPY(late_kicks);
	COPY(dropped);
	COPY(ran_ns);
	COPY(ready_ns);
	COPY(longest_ready_ns);
	COPY(longest_turn_ns);
	COPY(most_threads);
	COPY(faults);
	COPY(trace_lost);
	stats->threads = load(&rt->base.threads);
}

void read_stats(const struct thread *t, struct umcg_sched_thread_stats *stats)
{
	const struct umcg_sched_thread_stats *from = &t->stats;

	COPY(id);
	stats->tid = load(&t->tid);
	stats->state = load(&t->pub.state);
	stats->klass = load(&t->pub.klass);
	stats->tag = load(&t->tag);
	stats->ran_ns = load(&t->pub.service_ns);
	COPY(turns);
	COPY(blocked);
	COPY(waited);
	COPY(preempted);
	COPY(expired);
	COPY(yielded);
	COPY(ready_ns);
	COPY(longest_ready_ns);
	COPY(longest_turn_ns);
}

EXPORT bool umcg_sched_get_thread(struct umcg_sched *s, uint32_t *id,
				  struct umcg_sched_thread_stats *stats)
{
	struct runtime *rt = runtime_of(s);

	for (; *id < load(&rt->used_slots); ++*id) {
		struct thread *t = slot_at(rt, *id);

		if (__atomic_load_n(&t->task, __ATOMIC_ACQUIRE) == UMCG_NONE)
			continue;
		read_stats(t, stats);
		return true;
	}
	return false;
}
