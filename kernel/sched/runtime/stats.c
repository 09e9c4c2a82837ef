// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Statistics, read while they move. */
#include <time.h>

#include "internal.h"

#define read_of(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)	/* in order, for read_slot() */
#define COPY(field)	(stats->field = read_of(&from->field))

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
	COPY(passes);
	stats->threads = read_of(&rt->base.threads);
}

void read_stats(const struct thread *t, struct umcg_sched_thread_stats *stats)
{
	const struct umcg_sched_thread_stats *from = &t->stats;

	COPY(id);
	stats->tid = read_of(&t->tid);
	stats->state = read_of(&t->pub.state);
	stats->klass = read_of(&t->pub.klass);
	stats->tag = read_of(&t->tag);
	stats->ran_ns = read_of(&t->pub.service_ns);
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

/* Statistics of the thread that has the slot; all are of one, though slots change hands. */
static bool read_slot(struct runtime *rt, const struct thread *t, struct umcg_sched_thread_stats *stats)
{
	umcg_tid task;
	uint64_t seq;

	do {
		task = read_of(&t->task);
		if (task == UMCG_NONE)
			return false;
		seq = read_of(&t->pub.seq);
		read_stats(t, stats);
		if (rt->passing)
			stats->ran_ns += unseen_ns(t);
	} while (read_of(&t->task) != task || read_of(&t->pub.seq) != seq);
	return true;
}

EXPORT bool umcg_sched_get_thread(struct umcg_sched *s, uint32_t *id,
				  struct umcg_sched_thread_stats *stats)
{
	struct runtime *rt = runtime_of(s);

	for (; *id < load(&rt->used_slots); ++*id)
		if (read_slot(rt, slot_at(rt, *id), stats))
			return true;
	return false;
}

/* CPU time that thread @tid of this process has had, in ns; 0: it has ended. */
uint64_t cpu_time_of(pid_t tid)
{
	/* The kernel's name for its clock is made of its tid. */
	const clockid_t clock = (clockid_t)((~(unsigned int)tid << 3) | 6);
	struct timespec time;

	if (clock_gettime(clock, &time))
		return 0;
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
