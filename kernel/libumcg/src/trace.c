// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The transition trace: written by each thread for itself, read by any task. */
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "ring.h"

#define STAMP_MASK	((1ULL << UMCG_STATE_TIMESTAMP_BITS) - 1)

/* After fork(): what the parent's threads have recorded is the parent's. */
void umcg_ring_drop(struct umcg_thread *t)
{
	struct umcg_ring *r = load(&t->ring);

	store(&t->ring, NULL);
	if (r)
		munmap(r, sizeof(*r));
}

/* Rings stay with the task for its next thread, so that nothing unread is lost. */
static struct umcg_ring *ring_of(struct umcg_thread *self)
{
	struct umcg_ring *r = load(&self->ring);
	void *mem;

	if (likely(r))
		return r;
	mem = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	store_release(&self->ring, mem);
	return mem;
}

/* When word @s was stored, in ns; 0 if there is none. */
static uint64_t word_time(uint64_t s, uint64_t now)
{
	uint64_t ago;

	if (!umcg_stamp_of(s))
		return 0;
	ago = ((now >> UMCG_STATE_TIMESTAMP_GRANULARITY) - umcg_stamp_of(s)) & STAMP_MASK;
	/* A bumped stamp can be ahead of the clock, see umcg_word(). */
	if (ago >= STAMP_MASK - (1ULL << STAMP_AHEAD_SHIFT))
		return now;
	return now - (ago << UMCG_STATE_TIMESTAMP_GRANULARITY);
}

/* Is @arg of that kind a state word, of which the reader wants the time? */
static bool arg_is_word(enum umcg_trace_kind kind)
{
	return kind == UMCG_TRACE_POP || kind == UMCG_TRACE_RETURN ||
	       kind == UMCG_TRACE_BLOCK || kind == UMCG_TRACE_PREEMPTED ||
	       kind == UMCG_TRACE_EXIT;
}

COLD void umcg_trace_emit(struct umcg_thread *subject, enum umcg_trace_kind kind,
			  uint64_t old, uint64_t new, pid_t peer, uint64_t arg)
{
	struct umcg_group *g = load(&subject->group);
	struct umcg_thread *self = umcg_thread_self();
	struct umcg_ring *r = self ? ring_of(self) : NULL;
	uint64_t words[RECORD_WORDS], head, now = umcg_get_time_ns();
	struct umcg_trace_record record;
	unsigned int i;

	if (!r || r->busy)
		goto lost;
	r->busy = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	head = load(&r->head);
	if (head - load_acquire(&r->tail) >= RING_RECORDS) {
		r->busy = 0;
		goto lost;
	}
	record = (struct umcg_trace_record) {
		.time_ns = now,
		.group = load(&g->handle),
		.tid = load(&subject->tid),
		.cpu = sched_getcpu(),
		.peer = peer,
		.kind = kind,
		.old_state = (uint32_t)(old & ~(HELD | FREE | ADOPT | OWN)),
		.new_state = (uint32_t)(new & ~(HELD | FREE | ADOPT | OWN)),
		.arg = arg_is_word(kind) ? word_time(arg, now) : arg,
	};
	memcpy(words, &record, sizeof(words));
	for (i = 0; i < RECORD_WORDS; i++)
		store(&r->records[head % RING_RECORDS][i], words[i]);
	store_release(&r->head, head + 1);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	r->busy = 0;
	return;
lost:
	__atomic_fetch_add(&g->trace_lost, 1, __ATOMIC_RELAXED);
}

/* The group that a tracing function means: UMCG_NONE is that of the basic tasks. */
static struct umcg_group *traced_group(umcg_t group)
{
	if (group != UMCG_NONE)
		return umcg_group_find(group);
	return umcg_enabled() ? &umcg_basic_group : NULL;
}

EXPORT int umcg_trace_enable(umcg_t group, bool on)
{
	struct umcg_group *g = traced_group(group);

	if (!g)
		return umcg_fail_caller();
	store(&g->trace, on);
	return 0;
}

EXPORT uint64_t umcg_trace_lost(umcg_t group)
{
	struct umcg_group *g = traced_group(group);

	if (g)
		return load(&g->trace_lost);
	umcg_fail_caller();
	return 0;
}

/* One record of @r into @record, or false if there is none. */
static bool read_one(struct umcg_ring *r, struct umcg_trace_record *record)
{
	uint64_t words[RECORD_WORDS], tail = load_acquire(&r->tail);
	unsigned int i;

	do {
		if (tail == load_acquire(&r->head))
			return false;
		for (i = 0; i < RECORD_WORDS; i++)
			words[i] = load(&r->records[tail % RING_RECORDS][i]);
	} while (!__atomic_compare_exchange_n(&r->tail, &tail, tail + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	memcpy(record, words, sizeof(*record));
	return true;
}

EXPORT ssize_t umcg_trace_read(struct umcg_trace_record *records, size_t count)
{
	struct umcg_thread *t;
	struct umcg_ring *r;
	size_t n = 0;
	uint32_t i;

	if (!records && count)
		return umcg_fail(EINVAL);
	for (i = 0; n < count && (t = umcg_thread_at(i)); i++) {
		r = load_acquire(&t->ring);
		while (r && n < count && read_one(r, &records[n]))
			n++;
	}
	return (ssize_t)n;
}
