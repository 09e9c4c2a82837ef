/* SPDX-License-Identifier: MIT */
/* What is to come: a heap of entries in order of time, and of @order at one time. */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * @order is unique: its highest bits say what goes first at one time, the others
 * count. @what is the thread, server or class that it is about.
 */
struct sim_entry {
	uint64_t time, order;
	void *what;
};

struct sim_heap {
	struct sim_entry *entries;
	size_t length, room;
};

/* False: no memory. */
bool sim_heap_put(struct sim_heap *heap, struct sim_entry entry);
/* There is one. */
struct sim_entry sim_heap_get(struct sim_heap *heap);
void sim_heap_free(struct sim_heap *heap);

#endif
