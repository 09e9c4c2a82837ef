/* SPDX-License-Identifier: MIT */
/* Locks that are had in the order of asking; who has to wait blocks in the kernel. */
#ifndef LAB_TURNS_H
#define LAB_TURNS_H

#include "hall.h"

/*
 * Tickets. words[ticket & mask] is ticket + 1 when it is that ticket's turn: there
 * are more words than threads, so each waits on a word of its own.
 */
struct turns {
	_Alignas(64) _Atomic uint64_t next;
	_Atomic uint32_t *words;
	uint64_t mask;
};

/* For so many threads at the most. -1: no memory. */
int turns_open(struct turns *lock, uint32_t threads);
void turns_close(struct turns *lock);
/* The ticket, to be given back. */
uint64_t turns_lock(struct turns *lock, struct lab_thread *self);
void turns_unlock(struct turns *lock, uint64_t ticket);

#endif
