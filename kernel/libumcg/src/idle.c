// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The list of idle workers.
 *
 * Workers arrive on a stack, head, which the kernel pushes to with an exchange
 * and we with a compare-and-swap. Servers take it whole and, under the group's
 * lock, put it in the order of service. The kernel links a node after it has
 * pushed it; a server that meets such a node gives the lock back and tries again, and
 * the next task goes on from there.
 */
#include "idle.h"

/* All empty. Only while no task can use the group. */
void umcg_idle_reset(struct umcg_group *g)
{
	store(&g->head, 0);
	store(&g->slot, 0);
	store(&g->slot_server, NULL);
	store(&g->lock, 0);
	g->ready = NULL;
	g->sorted = NULL;
	g->sorted_last = NULL;
	g->chain = 0;
	store(&g->sleepers, NULL);
	g->stands_in = false;
	for (int i = 0; i < UMCG_MAX_SLOTS; i++) {
		store(&g->slots[i], 0);
		store(&g->seats[i], NULL);
	}
	store(&g->more, 0);
	store(&g->places, 0);
	store(&g->held, 0);
}

/* With a compare-and-swap the link is there before the node can be found. */
static inline void push(struct umcg_group *g, uint64_t *node)
{
	uint64_t head = load(&g->head);

	do {
		store(node, head);
	} while (!__atomic_compare_exchange_n(&g->head, &head, (uint64_t)(uintptr_t)node,
					      false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* Put @w on the list: IDLE, and the task that made it so calls this. */
void umcg_push_idle(struct umcg_group *g, struct umcg_thread *w)
{
	push(g, (uint64_t *)&w->rec.idle_workers_ptr);
}

/*
 * Under lock, where places pass on. The kernel looks only at the list: while workers
 * are ready elsewhere a node stands on it for them, and no longer than it has to.
 */
void umcg_stand_in(struct umcg_group *g)
{
	uint64_t node = (uint64_t)(uintptr_t)&g->more;

	if (g->ready || g->chain || g->sorted) {
		if (!g->stands_in)
			push(g, &g->more);
		g->stands_in = true;
	} else if (g->stands_in && !load(&g->more) &&
		   __atomic_compare_exchange_n(&g->head, &node, 0, false,
					       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
		g->stands_in = false;
	}
}

/*
 * Under lock. Move the chain that was taken to the ready queue, oldest or newest
 * first. False: the rest of it is not linked yet. @passes: places pass on.
 */
static inline __attribute__((always_inline))
bool sort(struct umcg_group *g, bool passes)
{
	bool newest_first = load(&g->flags) & UMCG_GROUP_NEWEST_FIRST;
	struct umcg_thread *w;
	uint64_t link;

	while (g->chain) {
		link = __atomic_load_n((__u64 *)(uintptr_t)g->chain, __ATOMIC_ACQUIRE);
		if (link == UMCG_IDLE_NODE_PENDING)
			return false;
		w = umcg_node_thread(g->chain);
		if (passes && g->chain == (uint64_t)(uintptr_t)&g->more) {
			g->stands_in = false;
			g->chain = link;
			continue;
		}
		g->chain = link;
		if (!newest_first) {
			store(&w->next, g->sorted);
			g->sorted = w;
			continue;
		}
		store(&w->next, NULL);
		if (g->sorted)
			store(&g->sorted_last->next, w);
		else
			g->sorted = w;
		g->sorted_last = w;
	}
	if (!g->sorted)
		return true;
	/* Newest first: before what is older. Oldest first: ready is empty. */
	if (newest_first)
		store(&g->sorted_last->next, g->ready);
	g->ready = g->sorted;
	g->sorted = NULL;
	return true;
}

static bool sort_any(struct umcg_group *g)
{
	return unlikely(umcg_passes_on(g)) ? sort(g, true) : sort(g, false);
}

/*
 * Under lock. The next worker, still IDLE; NULL: none, or *@again, as one is just
 * being pushed.
 */
struct umcg_thread *umcg_next_ready(struct umcg_group *g, bool *again)
{
	struct umcg_thread *w;

	*again = false;
	if (!g->ready || (g->flags & UMCG_GROUP_NEWEST_FIRST)) {
		if (!g->chain && !g->sorted) {
			if (!__atomic_load_n(&g->head, __ATOMIC_SEQ_CST))
				goto pop;
			g->chain = __atomic_exchange_n(&g->head, 0, __ATOMIC_SEQ_CST);
		}
		if (!sort_any(g)) {
			*again = true;
			return NULL;
		}
	}
pop:
	w = g->ready;
	if (w)
		g->ready = w->next;
	return w;
}

/*
 * @w has been taken off the list: a server holds it now. The flag of a wait that
 * has timed out goes first, as together with a node that says "not listed" it
 * would mean that the worker still waits.
 */
void umcg_hold(struct umcg_group *g, struct umcg_thread *w)
{
	uint64_t s = load_acquire(&w->rec.state_ts);

	while (!umcg_mark(w, &s, (s & FLAGS & ~IN_WAIT) | HELD))
		;
	store_release(&w->rec.idle_workers_ptr, (uint64_t)(uintptr_t)&g->head);
}
