// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where tasks and groups live: memory that is never given back, so that any
 * handle, however old, can be looked up without a lock.
 *
 * A handle is index + 1 in the low half and a generation in the high half; the
 * sign bit marks a free entry, so no stale or invented handle equals it.
 * Allocation is lock-free, as it happens in threads that may be workers soon and
 * must survive fork().
 */
#include <sys/mman.h>

#include "internal.h"

#define UNUSED	INTPTR_MIN

#define GROUP_CHUNK_SHIFT	4
#define GROUP_CHUNK_SIZE	(1U << GROUP_CHUNK_SHIFT)
#define GROUP_CHUNKS		4096U

void *umcg_chunks[CHUNKS];
static void *group_chunks[GROUP_CHUNKS];

/* Free entries as a stack: index + 1 in the low half, a count against ABA above. */
struct stack {
	uint64_t top;
	uint32_t used;	/* entries that were ever handed out */
};

static struct stack free_threads, free_groups;

struct umcg_thread *umcg_thread_at(uint32_t index)
{
	struct umcg_thread *chunk;

	if (index >= load(&free_threads.used) || index >= CHUNKS * CHUNK_SIZE)
		return NULL;
	chunk = load_acquire(&umcg_chunks[index >> CHUNK_SHIFT]);
	return chunk ? &chunk[index & (CHUNK_SIZE - 1)] : NULL;
}

struct umcg_group *umcg_group_at(uint32_t index)
{
	struct umcg_group *chunk;

	if (index >= load(&free_groups.used) || index >= GROUP_CHUNKS * GROUP_CHUNK_SIZE)
		return NULL;
	chunk = load_acquire(&group_chunks[index >> GROUP_CHUNK_SHIFT]);
	return chunk ? &chunk[index & (GROUP_CHUNK_SIZE - 1)] : NULL;
}

struct umcg_group *umcg_group_find(umcg_t group)
{
	struct umcg_group *g;

	if (group <= 0)
		return NULL;
	g = umcg_group_at((uint32_t)group - 1);
	return g && load_acquire(&g->handle) == group ? g : NULL;
}

/* Make sure that *@chunk is there. */
static bool fill(void **chunk, size_t size)
{
	void *mem, *none = NULL;

	if (load_acquire(chunk))
		return true;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return false;
	if (!__atomic_compare_exchange_n(chunk, &none, mem, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		munmap(mem, size);
	return true;
}

static void push(struct stack *stack, uint32_t index, uint32_t *link)
{
	uint64_t top = load(&stack->top), new;

	do {
		store(link, (uint32_t)top);
		new = ((top >> 32) + 1) << 32 | (index + 1);
	} while (!__atomic_compare_exchange_n(&stack->top, &top, new, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/*
 * A free entry keeps the index of the next one. That of an entry that another
 * thread has taken meanwhile may be nonsense: then the count has moved and the
 * exchange fails.
 */
static uint32_t *thread_link(uint32_t index)
{
	return &umcg_thread_at(index)->next_free;
}

static uint32_t *group_link(uint32_t index)
{
	return &umcg_group_at(index)->next_free;
}

static bool pop(struct stack *stack, uint32_t *index, uint32_t *(*link)(uint32_t))
{
	uint64_t top = load_acquire(&stack->top), new;

	do {
		if (!(uint32_t)top)
			return false;
		*index = (uint32_t)top - 1;
		new = ((top >> 32) + 1) << 32 | load(link(*index));
	} while (!__atomic_compare_exchange_n(&stack->top, &top, new, false,
					      __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
	return true;
}

/* An index that was never used, or false when there are none left. */
static bool extend(struct stack *stack, uint32_t max, uint32_t *index)
{
	uint32_t used = load(&stack->used);

	do {
		if (used >= max)
			return false;
	} while (!__atomic_compare_exchange_n(&stack->used, &used, used + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	*index = used;
	return true;
}

/* The handle of entry @index after its last one, @old. */
static intptr_t next_handle(uint32_t index, intptr_t old)
{
	uint64_t generation = (((uint64_t)old >> 32) + 1) & 0x7fffffff;

	return (intptr_t)(generation << 32 | (index + 1));
}

struct umcg_thread *umcg_thread_alloc(void)
{
	struct umcg_thread *t;
	uint32_t index;

	if (!pop(&free_threads, &index, thread_link)) {
		index = load(&free_threads.used);
		/* Memory first: an index that is given out must have some. */
		if (index >= CHUNKS * CHUNK_SIZE ||
		    !fill(&umcg_chunks[index >> CHUNK_SHIFT],
			  CHUNK_SIZE * sizeof(struct umcg_thread)) ||
		    !extend(&free_threads, CHUNKS * CHUNK_SIZE, &index) ||
		    !fill(&umcg_chunks[index >> CHUNK_SHIFT],
			  CHUNK_SIZE * sizeof(struct umcg_thread)))
			return NULL;
	}
	t = umcg_thread_at(index);
	store(&t->next, NULL);
	store(&t->pprev, NULL);
	store(&t->group, &umcg_basic_group);
	store(&t->tag, 0);
	t->inside = 0;
	store_release(&t->utid, next_handle(index, load(&t->utid)));
	return t;
}

void umcg_thread_free(struct umcg_thread *t)
{
	uint32_t index = (uint32_t)load(&t->utid) - 1;

	store_release(&t->utid, load(&t->utid) | UNUSED);
	push(&free_threads, index, &t->next_free);
}

/*
 * Tasks by thread id, for groups whose places pass on: of those the kernel knows
 * ids. An entry is as old as the thread that has written it; the task tells
 * whether it still is that thread's.
 */
#define TID_SHIFT	12
#define TIDS		(1U << 22)	/* the most that /proc/sys/kernel/pid_max can be */

static void *tid_chunks[TIDS >> TID_SHIFT];

/* Let @t be found by its thread id. False: no memory. */
bool umcg_name_tid(struct umcg_thread *t)
{
	uint32_t tid = (uint32_t)load(&t->tid);
	void **chunk = &tid_chunks[tid % TIDS >> TID_SHIFT];
	uint32_t *entries;

	if (!fill(chunk, sizeof(*entries) << TID_SHIFT))
		return false;
	entries = load_acquire(chunk);
	store_release(&entries[tid % (1U << TID_SHIFT)], (uint32_t)load(&t->utid));
	return true;
}

/* The task of thread @tid, or NULL. */
struct umcg_thread *umcg_by_tid(pid_t tid)
{
	uint32_t *entries = load_acquire(&tid_chunks[(uint32_t)tid % TIDS >> TID_SHIFT]);
	uint32_t index = entries ? load_acquire(&entries[(uint32_t)tid % (1U << TID_SHIFT)]) : 0;
	struct umcg_thread *t = tid && index ? umcg_thread_at(index - 1) : NULL;

	return t && load_acquire(&t->tid) == tid ? t : NULL;
}

struct umcg_group *umcg_group_alloc(void)
{
	struct umcg_group *g;
	uint32_t index;

	if (!pop(&free_groups, &index, group_link)) {
		index = load(&free_groups.used);
		if (index >= GROUP_CHUNKS * GROUP_CHUNK_SIZE ||
		    !fill(&group_chunks[index >> GROUP_CHUNK_SHIFT],
			  GROUP_CHUNK_SIZE * sizeof(struct umcg_group)) ||
		    !extend(&free_groups, GROUP_CHUNKS * GROUP_CHUNK_SIZE, &index) ||
		    !fill(&group_chunks[index >> GROUP_CHUNK_SHIFT],
			  GROUP_CHUNK_SIZE * sizeof(struct umcg_group)))
			return NULL;
	}
	g = umcg_group_at(index);
	store_release(&g->handle, next_handle(index, load(&g->handle)));
	return g;
}

void umcg_group_free(struct umcg_group *g)
{
	uint32_t index = (uint32_t)load(&g->handle) - 1;

	store_release(&g->handle, load(&g->handle) | UNUSED);
	push(&free_groups, index, &g->next_free);
}
