// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What --trace writes: the scheduler's decisions, and requests. Written into memory that
 * umcg-run reads meanwhile, so that nothing is lost however the program ends. A worker
 * that is preempted half-way holds up the reader, not other writers.
 */
#include "preload.h"

void event_put(const struct run_event *event)
{
	struct run_ring *ring = records_ring();
	struct run_event *place;
	uint64_t number;

	if (!ring)
		return;
	number = atomic_load_explicit(&ring->put, memory_order_relaxed);
	do {
		if (number - atomic_load_explicit(&ring->got, memory_order_acquire) >= RUN_RING) {
			atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
			return;
		}
	} while (!atomic_compare_exchange_weak_explicit(&ring->put, &number, number + 1, memory_order_relaxed,
							memory_order_relaxed));
	place = &ring->event[number % RUN_RING];
	place->time_ns = event->time_ns;
	place->arg = event->arg;
	place->tid = event->tid;
	place->server = event->server;
	place->kind = event->kind;
	place->why = event->why;
	atomic_store_explicit(&place->written, number + 1, memory_order_release);
}

/* Of the scheduler's, under its lock. */
void event_decided(void *arg, const struct umcg_sched_event *event)
{
	(void)arg;
	event_put(&(const struct run_event){
		.time_ns = event->time_ns, .arg = event->arg, .tid = event->tid,
		.server = event->server, .kind = event->kind, .why = event->why,
	});
}
