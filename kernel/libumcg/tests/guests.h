/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Workers that block in pipes, and a server of their group, all on one CPU: for tests of
 * places that pass on. The test says what the server does.
 */
#ifndef GUESTS_H
#define GUESTS_H

#include "util.h"

extern umcg_t guests_group;
extern atomic_intptr_t guests_server;	/* the one that has been started last */
extern atomic_int guests_servers;	/* how many have registered */
extern atomic_bool guests_stop;		/* servers leave when they look next */
extern pthread_t guests_serving;

/* A group that passes on, a server with body @serve; the caller becomes a basic task. */
void guests_begin(uint32_t flags, void *(*serve)(void *arg));
/* The first thing that @serve does. */
void guests_enlist(void);
/* The server has ended: another one. */
void guests_serve(void *(*serve)(void *arg));
/* All workers have left. */
void guests_end(void);

struct guest {
	void (*run)(struct guest *g);
	pthread_t thread;
	atomic_intptr_t utid;
	int pipe[2];
	atomic_long count;	/* what it has read */
	int rounds;		/* the test's */
};

/* A worker with its guest as tag, which does @run and leaves. */
void guest_spawn(struct guest *g, void (*run)(struct guest *g));
void guest_tell(struct guest *g);
/* By @g itself. */
void guest_hear(struct guest *g);
/* It has left, or its thread has ended. */
void guest_join(struct guest *g);

#endif /* GUESTS_H */
