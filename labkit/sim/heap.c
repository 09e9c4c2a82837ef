// SPDX-License-Identifier: MIT
/* A heap with four children to a node: half as deep as one with two. */
#include <stdlib.h>

#include "heap.h"

static inline bool first(const struct sim_entry *a, const struct sim_entry *b)
{
	return a->time != b->time ? a->time < b->time : a->order < b->order;
}

bool sim_heap_put(struct sim_heap *heap, struct sim_entry entry)
{
	struct sim_entry *e = heap->entries;
	size_t i = heap->length;

	if (i == heap->room) {
		size_t room = i ? 2 * i : 1024;

		e = realloc(e, room * sizeof(*e));
		if (!e)
			return false;
		heap->entries = e;
		heap->room = room;
	}
	heap->length++;
	for (; i && first(&entry, &e[(i - 1) / 4]); i = (i - 1) / 4)
		e[i] = e[(i - 1) / 4];
	e[i] = entry;
	return true;
}

/* The smallest of the children of @i, or @n without any. */
static size_t smallest_child(const struct sim_entry *e, size_t i, size_t n)
{
	size_t child = 4 * i + 1, end = child + 4 < n ? child + 4 : n, best = child;

	if (child >= n)
		return n;
	for (child++; child < end; child++)
		if (first(&e[child], &e[best]))
			best = child;
	return best;
}

struct sim_entry sim_heap_get(struct sim_heap *heap)
{
	struct sim_entry *e = heap->entries, top = e[0], last = e[--heap->length];
	size_t n = heap->length, i = 0, child;

	while ((child = smallest_child(e, i, n)) < n && first(&e[child], &last)) {
		e[i] = e[child];
		i = child;
	}
	e[i] = last;
	return top;
}

void sim_heap_free(struct sim_heap *heap)
{
	free(heap->entries);
	*heap = (struct sim_heap){ 0 };
}
