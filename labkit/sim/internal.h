/* SPDX-License-Identifier: MIT */
/*
 * The simulator's inside.
 *
 * One instant of virtual time goes like this: everything
 * that is due happens (what could go on becomes ready, computing ends, slices end,
 * in this order), then servers decide, in the order of their numbers. So a policy
 * decides about an instant when all of it is known.
 */
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include "heap.h"
#include "histogram.h"
#include "rows.h"
#include "simulator.h"

/* What goes first at one time: the highest bits of sim_entry.order. */
enum sim_due {
	DUE_ARRIVAL,			/* of a class: its number */
	DUE_WAKE,			/* of a thread: as they were put */
	DUE_BACK,			/* of a server: its number */
	DUE_COMPUTED, DUE_EXPIRED, DUE_START,
};
#define DUE(due, number)	((uint64_t)(due) << 60 | (number))

#define MOST_HELD	8		/* locks that a thread may hold at once */
#define REPORT_ROOM	32768
#define NO_LONGER	UINT64_MAX	/* no end of a slice */

struct sim_thread {
	const struct sim_class *klass;
	struct sim_thread *next;	/* waiting for the same lock or job, or free */
	uint64_t job, arrived;		/* its present job */
	uint64_t draws;			/* the job's stream of random numbers */
	uint64_t remaining;		/* of its present computing, ns */
	uint64_t repeat;
	uint32_t step;
	uint32_t started : 1,		/* the job has run */
		 asked : 1,		/* ready() has been called for it */
		 renew : 1,		/* the policy does not know of the job yet */
		 held_count : 8;
	uint16_t held[MOST_HELD];	/* locks, the last taken last */
	uint32_t wants;			/* lock + 1 that it waits for */
	uint64_t counted;		/* service is counted in t up to here, while it runs */
	uint64_t turns;			/* sim->done.turns when it became ready */
	struct umcg_sched_thread t;	/* the policy's bytes follow */
};

/* Threads in order of arrival. */
struct sim_queue {
	struct sim_thread *first, *last;
};

struct sim_lock {
	struct sim_thread *owner;
	struct sim_queue waiting;
};

enum sim_server_state {
	SERVER_FREE,			/* looks for a thread in this instant */
	SERVER_SLEEPING,
	SERVER_STARTING,		/* switches to its thread */
	SERVER_RUNNING,			/* its thread runs */
	SERVER_BUSY,			/* switches back */
};

struct sim_server {
	uint32_t number;
	uint8_t state;
	uint8_t row;			/* kind of the row when it is back */
	uint8_t kicked;			/* UMCG_KICK_PREEMPT came while it was starting */
	uint64_t pending, due;		/* order and time of its entry in the heap that counts */
	uint64_t since;			/* computing of its thread is counted up to here */
	uint64_t expires;
	bool idled;			/* it sleeps, for next() has given none */
	struct sim_thread *thread;
	struct sim_server_result done;
};

struct sim_class_state {
	uint64_t next;			/* number of the next job */
	uint64_t draws;			/* the stream of arrivals */
	uint64_t *waiting;		/* arrivals of jobs without a thread, a ring */
	uint64_t waiting_first, waiting_count, waiting_room;
	struct sim_queue idle;		/* threads without a job */
	struct sim_class_result done;
	struct sim_histogram latency, response;
};

/* Slab k holds SLAB_FIRST << k threads. */
#define SLAB_FIRST	1024U
#define SLABS		24

/* A thread that became ready in this instant; @seq, as its bytes may be another's. */
struct sim_fresh {
	struct sim_thread *thread;
	uint64_t seq;
};

struct sim {
	struct umcg_sched s;		/* first: the policy's view */
	struct sim_spec spec;
	struct sim_heap heap;
	struct sim_rows rows;
	uint64_t wakes;			/* that were ever put into the heap */
	struct sim_server *servers;
	struct sim_class_state *classes;
	struct sim_lock *locks;
	struct umcg_sched_thread **running;
	uint64_t *free, *sleeping;	/* a bit for each server */
	struct sim_fresh *fresh;
	size_t fresh_count, fresh_room;
	uint32_t *kicks;		/* servers to be kicked, with how in the low bits */
	size_t kick_count, kick_room;
	char *slab[SLABS];
	size_t stride;
	uint32_t slots;			/* of all slabs, ever used */
	struct sim_thread *unused;
	uint64_t seq;			/* threads that ever were */
	uint32_t most_threads;		/* at once */
	uint64_t looks;			/* next() in this instant */
	uint64_t next_check;
	struct sim_result done;
	/* Trouble. */
	volatile enum sim_outcome outcome;
	int error;			/* errno of SIM_FILE */
	/* The policy's function that is running, for a report; calls so far. */
	const char *volatile call;
	volatile uint64_t calls;
	const struct sim_thread *volatile call_about;
	volatile uint32_t call_server;
	char said[512];			/* by the policy's umcg_error() */
	size_t report_length;
	char report[REPORT_ROOM];
};

static inline struct sim_thread *sim_thread_of(struct umcg_sched_thread *t)
{
	return (struct sim_thread *)((char *)t - offsetof(struct sim_thread, t));
}

static inline struct sim *sim_of(struct umcg_sched *s)
{
	return (struct sim *)s;
}

/* The number of a thread in the event table: servers come first, from 1. */
static inline int32_t sim_tid(const struct sim *sim, const struct sim_thread *thread)
{
	return (int32_t)(sim->s.servers + 1 + thread->t.seq);
}

/* threads.c */
struct sim_thread *sim_thread_new(struct sim *sim, const struct sim_class *klass);
void sim_thread_free(struct sim *sim, struct sim_thread *thread);
struct sim_thread *sim_thread_at(const struct sim *sim, uint32_t id);
bool sim_is_thread(const struct sim *sim, const void *pointer);
void sim_queue_put(struct sim_queue *queue, struct sim_thread *thread);
struct sim_thread *sim_queue_get(struct sim_queue *queue);

/* jobs.c: where jobs come from, and what a thread does for one. */
bool sim_arrivals_begin(struct sim *sim);
void sim_arrive(struct sim *sim, const struct sim_class *klass);
/*
 * @thread, which runs, has done what it computed: go on to the next computing, of
 * @thread->remaining ns. False: its turn is over, for the reason @why.
 */
bool sim_advance(struct sim *sim, struct sim_thread *thread, enum umcg_why *why);
/* Its request is dropped: go on as above behind its end. */
bool sim_drop(struct sim *sim, struct sim_thread *thread, enum umcg_why *why);
void sim_first_run(struct sim *sim, struct sim_thread *thread);

/* places.c: servers and their turns. */
void sim_ready(struct sim *sim, struct sim_thread *thread, enum umcg_why why);
void sim_wake(struct sim *sim, struct sim_thread *thread);	/* now, or after its cost */
void sim_woken(struct sim *sim, struct sim_thread *thread);
void sim_start(struct sim *sim, struct sim_server *server);
void sim_turn_due(struct sim *sim, struct sim_server *server);
void sim_back(struct sim *sim, struct sim_server *server);
void sim_settle(struct sim *sim);
void sim_kick(struct umcg_sched *s, uint32_t server, uint32_t how);

/* run.c */
void sim_put(struct sim *sim, uint64_t time, uint64_t order, void *what);

/* calls.c: every call of the policy. */
void sim_call_ready(struct sim *sim, struct sim_thread *thread, enum umcg_why why);
struct sim_thread *sim_call_next(struct sim *sim, uint32_t server);
void sim_call_stopped(struct sim *sim, struct sim_thread *thread, enum umcg_why why, uint64_t ran);
uint64_t sim_call_slice(struct sim *sim, struct sim_thread *thread);
/* before() is asked about every server: sim_before() between these two. */
void sim_before_begin(struct sim *sim, const struct sim_thread *about);
void sim_before_end(struct sim *sim);

static inline bool sim_before(struct sim *sim, const struct umcg_sched_thread *a,
			      const struct umcg_sched_thread *b)
{
	return sim->s.policy->before(&sim->s, a, b);
}

/* report.c */
extern const struct umcg_sched_host sim_host;
void sim_fail(struct sim *sim, enum sim_outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The policy is wrong about @thread (or NULL): say what, which thread, where, and dump. */
void sim_blame(struct sim *sim, const struct sim_thread *thread, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Threads that have been ready for @bound_ns and should have run: blame the policy. */
void sim_check_lost(struct sim *sim, uint64_t bound_ns);
/* The run is over: nothing will ever come for a thread that waits for a lock. */
void sim_check_locks(struct sim *sim);

static inline void sim_emit(struct sim *sim, int32_t tid, int32_t cpu, enum sim_kind kind,
			    enum sim_state old, enum sim_state new, int32_t flags, int32_t peer,
			    int64_t arg)
{
	sim->done.events++;
	if (!sim->spec.rows)
		return;
	if (!sim_rows_put(&sim->rows, (struct sim_row){
			.t = (int64_t)sim->s.now_ns, .arg = arg, .tid = tid, .peer = peer,
			.flags = flags, .cpu = (int16_t)cpu, .kind = (uint8_t)kind,
			.states = (uint8_t)(old | new << 4) }))
		sim_fail(sim, sim->rows.error ? SIM_FILE : SIM_FULL, "events");
}

#endif
