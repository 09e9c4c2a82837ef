/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasks and groups, and how they may be touched.
 *
 * The state word (rec.state_ts) says who may act on a task. Its value never
 * repeats, as every change moves the timestamp, so that a compare-and-swap from
 * a value that was read also proves that nothing else has happened since: fields
 * that are only written in certain states can be read in between.
 *
 *   worker	RUNNING			runs; @server has lent it its place
 *		BLOCKED			blocked in the kernel
 *		IDLE			on the idle list, or about to be put there by
 *					whoever (kernel or waker) made it IDLE
 *		IDLE|HELD		taken off the list, in the hands of a server
 *		IDLE|PREEMPTED		as HELD: handed to the server that ran it
 *		IDLE|IN_WAIT		in umcg_wait() or umcg_swap(). After a timeout
 *					the kernel puts it on the idle list with that
 *					flag still set, so the node has to be looked at
 *   server	RUNNING			runs
 *	(or basic) IDLE			sleeps; @mode says what for
 *   any	...|LOCKED		in the hands of who has set the flag: the task
 *					itself, or who is about to run it (then RUNNING)
 *   any	...|QUEUED		a wake-up is pending; set by anybody, except on
 *					IDLE|LOCKED; cleared by the task itself
 *
 * What must hold so that nothing hangs:
 *
 * - A worker can lose its server at any instruction, by a page fault or a
 *   preemption, and then stands still until some server runs it. So whatever
 *   others wait for (a task it has LOCKED, a list it is half way into) a worker
 *   only does while its own word is LOCKED, which keeps the hooks away.
 * - Nobody waits for another's LOCKED while holding his own.
 * - The group's spinlock is only taken by servers, which no hook ever stops,
 *   and is never held across a system call.
 */
#ifndef LIBUMCG_INTERNAL_H
#define LIBUMCG_INTERNAL_H

#include <errno.h>
#include <stdatomic.h>
#include "libumcg.h"
#include "sys.h"

#define EXPORT		__attribute__((visibility("default")))
#define COLD		__attribute__((cold, noinline))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define load(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#define STATE		UMCG_TASK_STATE_MASK
#define NONE		((uint64_t)UMCG_TASK_NONE)
#define RUNNING		((uint64_t)UMCG_TASK_RUNNING)
#define IDLE		((uint64_t)UMCG_TASK_IDLE)
#define BLOCKED		((uint64_t)UMCG_TASK_BLOCKED)
#define LOCKED		((uint64_t)UMCG_TF_LOCKED)
#define PREEMPTED	((uint64_t)UMCG_TF_PREEMPTED)
#define HELD		(1ULL << 15)
#define IN_WAIT		UMCG_UTF_WORKER_IN_WAIT
#define QUEUED		UMCG_UTF_WAKEUP_QUEUED

#define FLAGS		UMCG_TASK_STATE_MASK_FULL
#define TICK		(FLAGS + 1)	/* one unit of the timestamp */

enum umcg_kind {
	KIND_NONE,
	KIND_BASIC,
	KIND_SERVER,
	KIND_WORKER,
};

/* What an IDLE server sleeps for; only written while it is RUNNING. */
enum umcg_mode {
	MODE_WAIT,	/* umcg_wait(), umcg_swap(): anybody may wake it */
	MODE_GET,	/* umcg_get_idle_worker(): who brings work may */
	MODE_RUN,	/* umcg_run_worker(): only its worker, or the kernel for it */
};

/*
 * One thread, registered or not. Memory of a task is never given back, only
 * used for another thread with another @utid: a stale pointer or handle always
 * leads to a task, and @utid tells whether to the one that was meant.
 */
struct umcg_thread {
	struct umcg_task rec;

	umcg_tid utid;		/* < 0: free */
	pid_t tid;		/* 0: not registered */
	uint8_t kind;
	uint8_t mode;
	/*
	 * Worker: it waits with a timeout; as @mode. Server: its worker gave the
	 * place back itself; as @worker.
	 */
	union {
		uint8_t timed;
		uint8_t yielded;
	};
	uint8_t inside;		/* a signal handler here must not wait: own thread only */
	struct umcg_group *group;
	/*
	 * Worker: the server whose place it has. Server in MODE_RUN: the worker
	 * that has its place, as a handle, which may be stale when it is looked
	 * at; UMCG_NONE once that worker has left. Both written by whoever has
	 * the worker LOCKED.
	 */
	union {
		struct umcg_thread *server;
		umcg_tid worker;
	};
	intptr_t tag;
	/* Place in the queue of idle workers, of sleeping servers or of free tasks. */
	union {
		struct umcg_thread *next;
		uint32_t next_free;
	};
	struct umcg_thread **pprev;
	struct umcg_ring *ring;	/* its trace; only it writes there */
};

_Static_assert(sizeof(struct umcg_thread) == 128, "two cache lines");

struct umcg_group {
	/* Written by the kernel and by wakers: lists of what has become idle. */
	uint64_t head __attribute__((aligned(64)));	/* stack of workers */
	uint32_t slot;		/* tid of the idle server to wake, or 0 */
	struct umcg_thread *slot_server;	/* who @slot names; under @lock */

	/* Only servers come here: under @lock. */
	uint32_t lock __attribute__((aligned(64)));
	struct umcg_thread *ready;	/* what to serve next, linked by @next */
	struct umcg_thread *sorted;	/* of the chain taken: what has been walked */
	struct umcg_thread *sorted_last;
	uint64_t chain;			/* and the node to go on with, or 0 */
	struct umcg_thread *sleepers;	/* servers in umcg_get_idle_worker() */

	umcg_t handle __attribute__((aligned(64)));	/* < 0: free */
	uint32_t next_free;
	uint32_t flags;
	int32_t members;	/* registered tasks; -1: being destroyed */
	uint32_t trace;		/* is tracing on */
	uint64_t trace_lost;
};

extern __thread struct umcg_thread *umcg_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
extern struct umcg_group umcg_basic_group;

/* pool.c */
struct umcg_thread *umcg_thread_alloc(void);
void umcg_thread_free(struct umcg_thread *t);
struct umcg_thread *umcg_thread_at(uint32_t index);
struct umcg_group *umcg_group_alloc(void);
void umcg_group_free(struct umcg_group *g);
struct umcg_group *umcg_group_at(uint32_t index);
struct umcg_group *umcg_group_find(umcg_t group);

#define CHUNK_SHIFT	10
#define CHUNK_SIZE	(1U << CHUNK_SHIFT)
#define CHUNKS		4096U
extern void *umcg_chunks[CHUNKS] __attribute__((visibility("hidden")));

/* thread.c */
struct umcg_thread *umcg_thread_self(void);

/* register.c */
void umcg_leave(struct umcg_thread *self);
void umcg_bury(struct umcg_thread *worker);

/* wait.c */
int umcg_sleep_server(struct umcg_thread *self, pid_t next, uint64_t timeout);
int umcg_sleep_worker(struct umcg_thread *self, pid_t next, uint64_t timeout);
int umcg_consume(struct umcg_thread *self, uint64_t s);
int umcg_wait_failed(struct umcg_thread *self, int error);
void umcg_release_server(struct umcg_thread *server, uint64_t now);

/* wake.c */
int umcg_wake_thread(struct umcg_thread *self, struct umcg_thread *t,
		     umcg_tid utid, bool this_cpu);
void umcg_sys_wake(struct umcg_thread *self, pid_t tid, bool this_cpu);

/* idle.c */
void umcg_push_idle(struct umcg_group *g, struct umcg_thread *w);
void umcg_idle_reset(struct umcg_group *g);

/* sleepers.c */
void umcg_nudge(struct umcg_thread *self, struct umcg_group *g);
void umcg_relay(struct umcg_thread *self, struct umcg_group *g);

/* spin.c */
void umcg_relax(unsigned int *spins);

/* trace.c */
void umcg_trace_emit(struct umcg_thread *subject, enum umcg_trace_kind kind,
		     uint64_t old, uint64_t new, pid_t peer, uint64_t arg);

/* query.c */
int umcg_fail(int error);
int umcg_fail_caller(void);

/* The task that @utid names, or NULL. */
static inline struct umcg_thread *umcg_find(umcg_tid utid)
{
	uint32_t index = (uint32_t)utid - 1;
	struct umcg_thread *chunk, *t;

	if (unlikely(utid <= 0 || index >= CHUNKS * CHUNK_SIZE))
		return NULL;
	chunk = load_acquire(&umcg_chunks[index >> CHUNK_SHIFT]);
	if (unlikely(!chunk))
		return NULL;
	t = &chunk[index & (CHUNK_SIZE - 1)];
	return likely(load_acquire(&t->utid) == utid) ? t : NULL;
}

static inline struct umcg_thread *umcg_node_thread(uint64_t node)
{
	return (struct umcg_thread *)(node -
			offsetof(struct umcg_thread, rec.idle_workers_ptr));
}

/* The calling task if it is registered, else NULL. */
static inline struct umcg_thread *umcg_caller(void)
{
	struct umcg_thread *self = umcg_self;

	return likely(self && load(&self->kind) != KIND_NONE) ? self : NULL;
}

/* The word after @old: new @flags, and a timestamp that is always later. */
static inline uint64_t umcg_word(uint64_t old, uint64_t flags, uint64_t now_ns)
{
	uint64_t stamp = now_ns >> UMCG_STATE_TIMESTAMP_GRANULARITY
				<< (64 - UMCG_STATE_TIMESTAMP_BITS);

	old &= ~FLAGS;
	return ((int64_t)(stamp - old) > 0 ? stamp : old + TICK) | flags;
}

/* Change the word from *@old to @new; *@old is updated if it was another one. */
static inline bool umcg_exchange(struct umcg_thread *t, uint64_t *old, uint64_t new)
{
	__u64 was = *old;
	bool done = __atomic_compare_exchange_n(&t->rec.state_ts, &was, new, false,
						__ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);

	*old = was;
	return done;
}

/* Change state and flags, at time @now_ns. */
static inline bool umcg_change(struct umcg_thread *t, uint64_t *old,
			       uint64_t flags, uint64_t now_ns)
{
	return umcg_exchange(t, old, umcg_word(*old, flags, now_ns));
}

/* As umcg_change(), for flags alone: the time stays, but for the one unit. */
static inline bool umcg_mark(struct umcg_thread *t, uint64_t *old, uint64_t flags)
{
	return umcg_exchange(t, old, ((*old & ~FLAGS) + TICK) | flags);
}

/*
 * Clear LOCKED, which the caller has set. Others may queue a wake-up in the same
 * moment, so it is one atomic addition. Returns the word as it was.
 */
static inline uint64_t umcg_unlock(struct umcg_thread *t)
{
	return __atomic_fetch_add(&t->rec.state_ts, TICK - LOCKED, __ATOMIC_SEQ_CST);
}

/*
 * Keep the hooks away from the calling worker. False: nothing to undo, as the
 * caller is no worker, or a signal handler that interrupted a transition.
 */
static inline bool umcg_lock_self(struct umcg_thread *self)
{
	uint64_t s = load(&self->rec.state_ts);

	if (self->kind != KIND_WORKER)
		return false;
	do {
		if ((s & (STATE | LOCKED)) != RUNNING)
			return false;
	} while (!umcg_mark(self, &s, (s & FLAGS) | LOCKED));
	return true;
}

static inline void umcg_unlock_self(struct umcg_thread *self, bool locked)
{
	/* A kick that came while LOCKED was set has been ignored: take it now. */
	if (locked && unlikely(umcg_unlock(self) & PREEMPTED))
		umcg_sys_kick(0, self->tid);
}

/* Is this IDLE|IN_WAIT worker on the idle list, as its time was up? */
static inline bool umcg_is_listed(struct umcg_thread *w)
{
	return load_acquire(&w->rec.idle_workers_ptr) !=
	       (uint64_t)(uintptr_t)&load(&w->group)->head;
}

/* 0 only to measure what the trace costs while it is off (make -C .. cost). */
#ifndef UMCG_TRACING
#define UMCG_TRACING	1
#endif

static inline bool umcg_traced(struct umcg_group *g)
{
	return UMCG_TRACING && unlikely(load(&g->trace));
}

static inline void umcg_trace(struct umcg_thread *subject, enum umcg_trace_kind kind,
			      uint64_t old, uint64_t new, pid_t peer, uint64_t arg)
{
	if (umcg_traced(load(&subject->group)))
		umcg_trace_emit(subject, kind, old, new, peer, arg);
}

static inline pid_t umcg_tid_of(struct umcg_thread *t)
{
	return t ? load(&t->tid) : 0;
}

#endif /* LIBUMCG_INTERNAL_H */
