/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Workers without a server, each parked in another way; the caller is their server. */
#ifndef PARKED_H
#define PARKED_H

#include "util.h"

enum {
	FRESH,		/* on the list, not yet run */
	LISTED,		/* on the list, by umcg_yield() */
	BACK,		/* on the list, has blocked in read() and been woken */
	HELD,		/* taken off the list by a server that has not run it */
	WAITING,	/* in umcg_wait() */
	TIMED,		/* in umcg_wait() with a timeout, far away */
	SWAPPED,	/* in umcg_swap() */
	BLOCKED,	/* in read() */
	PREEMPTED,	/* on the list; with UMCG_GROUP_KEEP_PREEMPTED with its server */
	PARKED
};

extern const char *const parked_names[PARKED];
extern umcg_tid parked_server;
extern atomic_intptr_t parked_utid[PARKED];
extern atomic_int parked_tid[PARKED];
extern atomic_int parked_cleaned;	/* clean-up handlers that have run */
extern pthread_t parked_thread[PARKED];

/* Threads by @spawn that run @run, which calls parked_worker(), become workers and are parked. */
void parked_begin(uint32_t flags, pthread_t (*spawn)(void *(*run)(void *arg), void *arg),
		  void *(*run)(void *arg));
void *parked_worker(void *number);
int parked_me(void);	/* which of them is the calling thread; -1: none */
/* Each is where it was; the server runs them all to their ends. */
void parked_end(bool were_cancelled, void (*join)(pthread_t thread));

#endif /* PARKED_H */
