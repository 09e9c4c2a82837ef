/* SPDX-License-Identifier: MIT */
/*
 * The smallest servers whose place passes on: one list, a slot for each server. What a
 * server has taken off the list and not run yet only it knows of, so it gives the
 * permission only when that is nothing.
 */
#ifndef LIBPLACE_H
#define LIBPLACE_H

#include "libraw.h"

#define ADOPT	UMCG_TF_ADOPT
#define RANK	UMCG_TF_RANK
#define LENDS	(IDLE | ADOPT)		/* its place, and it may pass on */
#define OFFERS	(IDLE | ADOPT | FREE)	/* no task has its place */

struct places {
	uint64_t head __attribute__((aligned(64)));
	uint32_t slots[UMCG_MAX_SLOTS] __attribute__((aligned(64)));
	uint32_t permission;		/* 0, ADOPT or ADOPT | RANK */
	int servers;
	volatile bool stop;		/* servers leave when they are next told */
};

struct seat {				/* a server */
	struct umcg_task rec __attribute__((aligned(64)));
	struct places *places;
	pid_t tid;
	int nr, cpu;			/* -1: any */
	struct tenant *first, *last;	/* taken off the list, oldest first */
	unsigned long told;		/* how often it got its place back */
};

struct tenant {				/* a worker */
	struct umcg_task rec __attribute__((aligned(64)));
	struct places *places;
	struct tenant *next;
	pthread_t thread;
	pid_t tid;
	int cpu;			/* -1: any */
	uint32_t rank;			/* that it registers with */
	void (*fn)(struct tenant *t);
	volatile long count;
};

void seat_register(struct seat *s, struct places *p, int nr);
/* Takes what is on the list; NULL if there is nothing. */
struct tenant *seat_take(struct seat *s);
/* Sleeps for work until it is RUNNING. */
void seat_sleep(struct seat *s);
/* Lends its place to @t; returns when it has it back. */
void seat_run(struct seat *s, struct tenant *t);
/* All this until places.stop; unregisters. */
void seat_serve(struct seat *s);
/* A thread on @cpu (-1: any) that registers @s and does that. */
pthread_t seat_start(struct seat *s, struct places *p, int nr, int cpu);

void tenant_start(struct tenant *t, struct places *p, void (*fn)(struct tenant *t));
/* Gives the place back to the server it is of, and comes on the list. */
void tenant_yield(struct tenant *t, struct seat *seats);
/*
 * It has had a place and has left it to sleep. That it sleeps is also true for a moment
 * while it wakes up: a caller that has woken it waits for what it does then, too.
 */
bool tenant_blocked(struct tenant *t);
/* Marks a RUNNING worker PREEMPTED and kicks it. */
bool tenant_preempt(struct tenant *t);
/* Wakes every server that sleeps, so that it sees places.stop. */
void places_stop(struct places *p, struct seat *seats, struct umcg_task *self);

#endif /* LIBPLACE_H */
