// SPDX-License-Identifier: MIT
/* Threads in slabs: addresses do not change, numbers of those that ended come again. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static uint32_t slab_of(uint32_t id)
{
	return 31 - (uint32_t)__builtin_clz(id / SLAB_FIRST + 1);
}

static uint32_t slab_begin(uint32_t slab)
{
	return ((1U << slab) - 1) * SLAB_FIRST;
}

struct sim_thread *sim_thread_at(const struct sim *sim, uint32_t id)
{
	uint32_t slab = slab_of(id);

	return (struct sim_thread *)(sim->slab[slab] + (id - slab_begin(slab)) * sim->stride);
}

bool sim_is_thread(const struct sim *sim, const void *pointer)
{
	uintptr_t at = (uintptr_t)pointer - offsetof(struct sim_thread, t);

	if (!sim->slots)
		return false;
	for (uint32_t slab = slab_of(sim->slots - 1) + 1; slab--; ) {
		uintptr_t begin = (uintptr_t)sim->slab[slab];

		if (at >= begin && at - begin < (size_t)(SLAB_FIRST << slab) * sim->stride)
			return (at - begin) % sim->stride == 0 &&
			       slab_begin(slab) + (at - begin) / sim->stride < sim->slots;
	}
	return false;
}

static struct sim_thread *take_slot(struct sim *sim)
{
	struct sim_thread *thread = sim->unused;
	uint32_t id = sim->slots, slab;

	if (thread) {
		sim->unused = thread->next;
		id = thread->t.id;
	} else {
		slab = slab_of(id);
		if (slab >= SLABS)
			return NULL;
		if (!sim->slab[slab])
			sim->slab[slab] = malloc((size_t)(SLAB_FIRST << slab) * sim->stride);
		if (!sim->slab[slab])
			return NULL;
		sim->slots++;
		thread = sim_thread_at(sim, id);
	}
	memset(thread, 0, sim->stride);
	thread->t.id = id;
	return thread;
}

struct sim_thread *sim_thread_new(struct sim *sim, const struct sim_class *klass)
{
	struct sim_thread *thread;

	if (sim->seq >= INT32_MAX - sim->s.servers - 1) {
		sim_fail(sim, SIM_WORKLOAD, "there are more than %d threads; give the classes "
			 "threads of their own that do many jobs", INT32_MAX);
		return NULL;
	}
	thread = take_slot(sim);
	if (!thread) {
		sim_fail(sim, SIM_MEMORY, "threads");
		return NULL;
	}
	thread->klass = klass;
	thread->t.seq = sim->seq++;
	thread->t.state = UMCG_SCHED_BLOCKED;
	thread->t.server = UMCG_NO_SERVER;
	thread->t.weight = klass->weight;
	thread->t.priority = klass->priority;
	thread->t.tenant = (uint16_t)klass->tenant;
	thread->t.klass = (uint16_t)(klass - sim->spec.klass);
	thread->t.request_ns = sim->s.now_ns;
	if (++sim->s.threads > sim->most_threads)
		sim->most_threads = sim->s.threads;
	sim->done.threads++;
	sim_emit(sim, sim_tid(sim, thread), -1, KIND_REGISTER, STATE_NONE, STATE_BLOCKED, 0, 0,
		 thread->t.klass);
	return thread;
}

void sim_thread_free(struct sim *sim, struct sim_thread *thread)
{
	sim->s.threads--;
	thread->t.state = UMCG_SCHED_NONE;
	thread->next = sim->unused;
	sim->unused = thread;
}

void sim_queue_put(struct sim_queue *queue, struct sim_thread *thread)
{
	thread->next = NULL;
	if (queue->first)
		queue->last->next = thread;
	else
		queue->first = thread;
	queue->last = thread;
}

struct sim_thread *sim_queue_get(struct sim_queue *queue)
{
	struct sim_thread *thread = queue->first;

	if (thread) {
		queue->first = thread->next;
		thread->next = NULL;
	}
	return thread;
}
