/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The trace ring of one thread. */
#ifndef LIBUMCG_RING_H
#define LIBUMCG_RING_H

#include "internal.h"

#define RING_RECORDS	4096U
#define RECORD_WORDS	(sizeof(struct umcg_trace_record) / sizeof(uint64_t))

_Static_assert(sizeof(struct umcg_trace_record) == 48, "no padding");

/*
 * Records [tail, head) are to be read. The thread alone moves head, after it has
 * written a record there; readers move tail by compare-and-swap after they have
 * copied one. What is not yet read is never overwritten, so a reader that wins
 * has a whole record; one that loses has perhaps not, and throws it away. Words
 * are copied as relaxed atomics for that reason.
 */
struct umcg_ring {
	uint64_t head;
	uint8_t busy;		/* a signal handler here cannot record */
	uint64_t tail __attribute__((aligned(64)));
	uint64_t records[RING_RECORDS][RECORD_WORDS] __attribute__((aligned(64)));
};

void umcg_ring_drop(struct umcg_thread *t);

#endif /* LIBUMCG_RING_H */
