// SPDX-License-Identifier: MIT
/* Locks that are had in the order of asking; see turns.h. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "turns.h"

int turns_open(struct turns *lock, uint32_t threads)
{
	uint64_t words = 1;

	while (words <= threads)
		words *= 2;
	atomic_init(&lock->next, 0);
	lock->mask = words - 1;
	lock->words = calloc(words, sizeof(*lock->words));
	if (!lock->words)
		return -1;
	atomic_init(&lock->words[0], 1);
	return 0;
}

void turns_close(struct turns *lock)
{
	free(lock->words);
}

uint64_t turns_lock(struct turns *lock, struct lab_thread *self)
{
	uint64_t ticket = atomic_fetch_add(&lock->next, 1);
	_Atomic uint32_t *word = &lock->words[ticket & lock->mask];
	uint32_t turn = (uint32_t)(ticket + 1), seen = atomic_load(word);
	int64_t begin;

	if (seen == turn)
		return ticket;
	atomic_store_explicit(&self->due, 0, memory_order_relaxed);
	begin = lab_block_begin(self);
	for (; seen != turn; seen = atomic_load(word))
		lab_futex(word, FUTEX_WAIT_PRIVATE, seen);
	lab_block_end(self, begin);
	return ticket;
}

void turns_unlock(struct turns *lock, uint64_t ticket)
{
	uint64_t next = ticket + 1;
	_Atomic uint32_t *word = &lock->words[next & lock->mask];

	atomic_store(word, (uint32_t)(next + 1));
	/* Who has drawn the next ticket sees the word, or is seen here. */
	if (atomic_load(&lock->next) > next)
		lab_futex(word, FUTEX_WAKE_PRIVATE, 1);
}
