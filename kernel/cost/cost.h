/* SPDX-License-Identifier: MIT */
/*
 * What the cost programs share. A row measures one kind of hand-off: it is run
 * in a process of its own, calls lap() once a round trip and never returns.
 */
#ifndef COST_H
#define COST_H

#include <stdbool.h>
#include <stddef.h>

/* A program's rows, in the order in which they are run. */
struct row {
	const char *name;
	void (*run)(void);
	bool umcg;	/* left out on a kernel without it */
};
extern const struct row rows[];
extern const size_t row_count;

/* Once a round trip, from one thread; ends the process after the last. */
void lap(void);
/* What is between these is not counted; the thread that calls lap() may. */
void pause_laps(void);
void resume_laps(void);

/* thread.c */
typedef void *thread_fn(void *arg);
void die(const char *what) __attribute__((noreturn));
void spawn(thread_fn *fn, void *arg, int cpu);
void pin(int cpu);

#endif
