// SPDX-License-Identifier: MIT
/* Where work and threads meet; see hall.h. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "hall.h"

int hall_open(struct hall *hall, uint32_t threads)
{
	memset(hall, 0, sizeof(*hall));
	hall->hands = aligned_alloc(64, threads * sizeof(struct hand));
	if (!hall->hands)
		return -1;
	memset(hall->hands, 0, threads * sizeof(struct hand));
	return 0;
}

void hall_close(struct hall *hall)
{
	free(hall->hands);
}

void hall_arrive(struct hall *hall)
{
	atomic_fetch_add(&hall->arrived, 1);
}

void hall_rest(struct hall *hall, uint32_t index)
{
	uint64_t top = atomic_load(&hall->idle), new;

	do {
		hall->hands[index].next = (uint32_t)top;
		new = ((top >> 32) + 1) << 32 | (index + 1);
	} while (!atomic_compare_exchange_weak(&hall->idle, &top, new));
}

static bool pop_idle(struct hall *hall, uint32_t *index)
{
	uint64_t top = atomic_load(&hall->idle), new;

	do {
		if (!(uint32_t)top)
			return false;
		*index = (uint32_t)top - 1;
		/* Nonsense if another has taken it meanwhile: then the count has moved. */
		new = ((top >> 32) + 1) << 32 | hall->hands[*index].next;
	} while (!atomic_compare_exchange_weak(&hall->idle, &top, new));
	return true;
}

bool hall_take(struct hall *hall, uint32_t *number)
{
	*number = atomic_load(&hall->taken);
	do {
		if (*number >= atomic_load(&hall->arrived))
			return false;
	} while (!atomic_compare_exchange_weak(&hall->taken, number, *number + 1));
	return true;
}

void hall_match(struct hall *hall, void (*give)(void *arg, uint32_t index, uint32_t number), void *arg)
{
	uint32_t index, number;

	while (atomic_load(&hall->taken) < atomic_load(&hall->arrived)) {
		if (!pop_idle(hall, &index))
			break;
		if (!hall_take(hall, &number)) {
			hall_rest(hall, index);
			continue;
		}
		give(arg, index, number);
	}
}
