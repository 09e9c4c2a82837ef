// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The trace: one ring, written under the lock, read by one reader beside it. What
 * has not been read is never written over; what finds no room leaves a gap in the
 * numbers. Or events go to a function of the program's.
 */
#include "internal.h"

void umcg_sched_emit(struct runtime *rt, enum umcg_sched_event_kind kind, struct thread *t,
		     uint32_t server, uint32_t why, uint64_t arg)
{
	uint64_t put = atomic_load_explicit(&rt->trace_put, memory_order_relaxed);
	const struct umcg_sched_event event = {
		.time_ns = rt->base.now_ns, .arg = arg, .tag = t ? t->tag : 0,
		.tid = t ? t->tid : 0, .thread = t ? t->pub.id : UINT32_MAX, .server = server,
		.kind = (uint16_t)kind, .why = (uint16_t)why, .seq = rt->trace_seq++,
	};

	if (rt->config.event) {
		rt->config.event(rt->config.arg, &event);
		return;
	}
	if (put - atomic_load_explicit(&rt->trace_got, memory_order_acquire) == rt->config.trace) {
		count(&rt->stats.trace_lost, 1);
		return;
	}
	rt->trace[put % rt->config.trace] = event;
	atomic_store_explicit(&rt->trace_put, put + 1, memory_order_release);
}

EXPORT size_t umcg_sched_read_trace(struct umcg_sched *s, struct umcg_sched_event *events, size_t room)
{
	struct runtime *rt = runtime_of(s);
	uint64_t got = atomic_load_explicit(&rt->trace_got, memory_order_relaxed);
	uint64_t put = atomic_load_explicit(&rt->trace_put, memory_order_acquire);
	size_t taken = 0;

	for (; taken < room && got < put; got++)
		events[taken++] = rt->trace[got % rt->config.trace];
	atomic_store_explicit(&rt->trace_got, got, memory_order_release);
	return taken;
}
