/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasks and groups, and how they may be touched.
 *
 * The state word (rec.state_ts) says which task may act on it. Its value never
 * repeats, as every change moves the timestamp. So a compare-and-swap from a
 * value that was read also proves that nothing else has happened since: fields
 * that are only written in certain states can be read in between.
 *
 *   worker	RUNNING			runs; @server has lent it its place
 *		BLOCKED			blocked in the kernel
 *		IDLE			on the idle list, or about to be put there by
 *					what made it IDLE (kernel, waker, itself)
 *		IDLE|HELD		taken off the list, held by a server
 *		IDLE|PREEMPTED		as HELD: by the server that ran it
 *		NONE			its thread has ended while it had no server; on
 *					the list (or HELD) until a server that runs it
 *					is told, see register.c
 *		IDLE|IN_WAIT		in umcg_wait() or umcg_swap(). After a timeout
 *					the kernel puts it on the idle list with that
 *					flag still set, so look at the node, too. Where
 *					places pass on it may take one, and has the flag
 *					for a moment when it is RUNNING or PREEMPTED
 *   server	RUNNING			runs
 *	(or basic) IDLE			sleeps; @mode says what for
 *		IDLE|FREE		sleeps for work
 *		IDLE|ADOPT		lends its place, which may pass on, see place.c;
 *					with RANK, to a worker of better rank at once
 *		IDLE|ADOPT|FREE		in umcg_run_worker() or umcg_offer_place(), and no
 *					task has its place
 *   any	...|LOCKED		owned by the task that has set the flag: the task
 *					itself, or the server that runs it (then
 *					RUNNING)
 *   any	...|QUEUED		a wake-up is pending; set by any task, except on
 *					IDLE|LOCKED; cleared by the task itself
 *
 * What must hold so that nothing hangs:
 *
 * - A worker can lose its server at any instruction, by a page fault or a
 *   preemption, and then does not go on until some server runs it. So whatever
 *   others wait for (a task it has LOCKED, a list it is half way into) a worker
 *   only does while its own word is LOCKED, which keeps the hooks away.
 * - No task waits for another's LOCKED while its own word is LOCKED, and no
 *   signal handler waits that has interrupted one of our functions, see
 *   umcg_must_not_wait().
 * - The group's spinlock is only taken by servers, which no hook ever stops, and by
 *   workers that are LOCKED, and is never held across a system call.
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
#define OWN		(1ULL << 13)	/* with LOCKED: by the task itself, in a step */
#define FREE		((uint64_t)UMCG_TF_FREE)
#define ADOPT		((uint64_t)UMCG_TF_ADOPT)
#define RANK		((uint64_t)UMCG_TF_RANK)
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

/*
 * Where an IDLE server sleeps; only written while it is RUNNING. Whether it still
 * sleeps for work its word says: FREE.
 */
enum umcg_mode {
	MODE_WAIT,	/* umcg_wait(), umcg_swap(): any task may wake it */
	MODE_GET,	/* umcg_get_idle_worker(): any task, and what brings work */
	MODE_RUN,	/* umcg_run_worker(), umcg_offer_place(): only its worker, or the
			 * kernel for it; and any task while no worker has its place: FREE */
};

/*
 * One thread, registered or not. Memory of a task is never given back, only
 * used for another thread with another @utid: a stale pointer or handle always
 * leads to a task, and @utid tells whether to the one that was meant. It is used
 * again only when no list names the task any more.
 */
struct umcg_thread {
	struct umcg_task rec __attribute__((aligned(64)));

	/* What every call looks at. */
	umcg_tid utid;		/* < 0: free */
	pid_t tid;		/* 0: not registered */
	uint8_t kind;
	uint8_t mode;		/* of a server */
	uint8_t timed;		/* worker: it waits with a timeout; as @mode */
	uint8_t yielded;	/* server: its worker gave the place back itself */
	uint8_t inside;		/* see umcg_must_not_wait(); own thread only */
	uint8_t seat;		/* server whose place passes on: its number, from 1 */
	uint8_t held;		/* worker there: counted in umcg_group::held */
	struct umcg_group *group;
	/*
	 * Worker: the server whose place it has. Written by the task that has the worker
	 * LOCKED, as the next one. Always NULL where places pass on: there the kernel
	 * gives them to workers, too, and only rec.next_tid tells.
	 */
	struct umcg_thread *server;
	/*
	 * Server in MODE_RUN: the worker that has its place, as a handle, which may
	 * be stale when it is looked at; UMCG_NONE once that worker has left. Where
	 * places pass on, the one that was run, or UMCG_NONE if the place was offered: who
	 * has it says rec.tenant_tid.
	 */
	umcg_tid worker;
	struct umcg_thread *next;	/* in the ready queue or the list of sleepers */
	struct umcg_thread **pprev;	/* in the list of sleepers, else NULL */

	/* What few calls look at. */
	intptr_t tag __attribute__((aligned(64)));
	struct umcg_ring *ring;	/* its trace; only it writes there */
	umcg_tid waits_for;	/* umcg_wake(): whose wake-up has to be consumed first */
	umcg_tid left;		/* server: the worker that has left from here last, */
	intptr_t left_tag;	/* and its tag */
	uint32_t next_free;	/* of a free task, see pool.c */
	uint32_t passes;	/* server: rec.passes when it lent its place */
};

_Static_assert(sizeof(struct umcg_thread) == 192, "three cache lines");

struct umcg_group {
	/* Written by the kernel and by wakers: lists of what has become idle. */
	uint64_t head __attribute__((aligned(64)));	/* stack of workers */
	uint32_t slot;		/* tid of the idle server to wake, or 0 */
	struct umcg_thread *slot_server;	/* the server that @slot names; under @lock */

	/* Only servers come here: under @lock. */
	uint32_t lock __attribute__((aligned(64)));
	struct umcg_thread *ready;	/* what to serve next, linked by @next */
	struct umcg_thread *sorted;	/* of the chain taken: what has been walked */
	struct umcg_thread *sorted_last;
	uint64_t chain;			/* and the node to go on with, or 0 */
	struct umcg_thread *sleepers;	/* servers in umcg_get_idle_worker() */
	bool stands_in;			/* is @more on the list */

	/* Of groups whose places pass on, see place.c. */
	uint32_t slots[UMCG_MAX_SLOTS] __attribute__((aligned(64)));	/* one a server */
	struct umcg_thread *seats[UMCG_MAX_SLOTS];	/* and whose they are */
	uint64_t more;		/* node that stands for what is ready elsewhere */
	uint32_t places;	/* no seat has a higher number */
	int32_t held;		/* workers in the hands of servers */

	umcg_t handle __attribute__((aligned(64)));	/* < 0: free */
	uint32_t next_free;
	uint32_t flags;
	int32_t members;	/* registered tasks; -1: being destroyed */
	uint32_t trace;		/* is tracing on */
	uint64_t trace_lost;
};

extern __thread struct umcg_thread *umcg_self __attribute__((visibility("hidden")));
extern struct umcg_group umcg_basic_group;

/* pool.c */
struct umcg_thread *umcg_thread_alloc(void);
void umcg_thread_free(struct umcg_thread *t);
struct umcg_thread *umcg_thread_at(uint32_t index);
struct umcg_group *umcg_group_alloc(void);
void umcg_group_free(struct umcg_group *g);
struct umcg_group *umcg_group_at(uint32_t index);
struct umcg_group *umcg_group_find(umcg_t group);
bool umcg_name_tid(struct umcg_thread *t);
struct umcg_thread *umcg_by_tid(pid_t tid);

#define CHUNK_SHIFT	10
#define CHUNK_SIZE	(1U << CHUNK_SHIFT)
#define CHUNKS		4096U
extern void *umcg_chunks[CHUNKS] __attribute__((visibility("hidden")));

/* thread.c */
struct umcg_thread *umcg_thread_self(void);

/* register.c */
bool umcg_leave(struct umcg_thread *self);
void umcg_free_ended(struct umcg_thread *self, struct umcg_group *g, struct umcg_thread *t);
bool umcg_close_group(struct umcg_group *g);

/* cancel.c; the sleeping itself: cancel.h */
void umcg_end_wait(struct umcg_thread *self);

/* wait.c */
int umcg_consume(struct umcg_thread *self, uint64_t s);
int umcg_wait_failed(struct umcg_thread *self, int error);
void umcg_release_server(struct umcg_thread *server, uint64_t now);

/* wake.c */
int umcg_wake_thread(struct umcg_thread *self, struct umcg_thread *t,
		     umcg_tid utid, bool this_cpu, bool may_wait);
void umcg_sys_wake(struct umcg_thread *self, pid_t tid, bool this_cpu);

/* idle.c */
void umcg_push_idle(struct umcg_group *g, struct umcg_thread *w);
void umcg_idle_reset(struct umcg_group *g);

/* put.c */
int umcg_give_back(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid);

/* run.c */
umcg_tid umcg_place_is_back(struct umcg_thread *self);

static inline void umcg_note_left(struct umcg_thread *server, umcg_tid utid, intptr_t tag)
{
	store(&server->left, utid);
	store(&server->left_tag, tag);
}

/* preempt.c */
void umcg_interrupt_worker(struct umcg_thread *w, struct umcg_thread *server);

/* place.c */
bool umcg_take_seat(struct umcg_group *g, struct umcg_thread *server);
void umcg_leave_seat(struct umcg_group *g, struct umcg_thread *server);
void umcg_wake_free(struct umcg_thread *self, struct umcg_group *g);
void umcg_lend_place(struct umcg_thread *self, struct umcg_thread *w, uint64_t now);
void umcg_set_held(struct umcg_group *g, struct umcg_thread *w, bool held);
struct umcg_thread *umcg_hand_over(struct umcg_thread *self, struct umcg_thread *server,
				   uint64_t now);
bool umcg_want_place(struct umcg_thread *self);
umcg_tid umcg_last_tenant(struct umcg_thread *self);

/* sleepers.c */
void umcg_end_sleep(struct umcg_thread *self, struct umcg_group *g);
void umcg_leave_sleepers(struct umcg_thread *self, struct umcg_group *g,
			 struct umcg_thread *t);
void umcg_nudge(struct umcg_thread *self, struct umcg_group *g);
void umcg_relay_now(struct umcg_thread *self, struct umcg_group *g);

/* spin.c */
void umcg_relax(unsigned int *spins);

/* trace.c */
void umcg_trace_emit(struct umcg_thread *subject, enum umcg_trace_kind kind,
		     uint64_t old, uint64_t new, pid_t peer, uint64_t arg);

/* query.c */
int umcg_fail(int error);
int umcg_fail_caller(void);
int umcg_refuse(enum umcg_kind kind);

/* Where the task is that @utid names, unless it has ended: who acts on it compares its utid. NULL: nowhere. */
static inline struct umcg_thread *umcg_locate(umcg_tid utid)
{
	uint32_t index = (uint32_t)utid - 1;
	struct umcg_thread *chunk;

	if (unlikely(utid <= 0 || index >= CHUNKS * CHUNK_SIZE))
		return NULL;
	chunk = load_acquire(&umcg_chunks[index >> CHUNK_SHIFT]);
	return likely(chunk) ? &chunk[index & (CHUNK_SIZE - 1)] : NULL;
}

/* The task that @utid names, or NULL. */
static inline struct umcg_thread *umcg_find(umcg_tid utid)
{
	struct umcg_thread *t = umcg_locate(utid);

	return likely(t && load_acquire(&t->utid) == utid) ? t : NULL;
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

/* A stamp at most this far ahead of the clock (1 ms) is one that was bumped. */
#define STAMP_AHEAD_SHIFT	16

/* The stamp in word @s. */
static inline uint64_t umcg_stamp_of(uint64_t s)
{
	return s >> (64 - UMCG_STATE_TIMESTAMP_BITS);
}

/*
 * The word after @old: new @flags, and a timestamp that is always another one. A
 * stamp that is far ahead of the clock is one from long ago: they come round
 * after 13 days.
 */
static inline uint64_t umcg_word(uint64_t old, uint64_t flags, uint64_t now_ns)
{
	uint64_t stamp = now_ns >> UMCG_STATE_TIMESTAMP_GRANULARITY
				<< (64 - UMCG_STATE_TIMESTAMP_BITS);

	old &= ~FLAGS;
	if (!((old - stamp) / TICK >> STAMP_AHEAD_SHIFT))
		stamp = old + TICK;
	return stamp | flags;
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

/* Flags of a server with word @s that is made RUNNING. */
static inline uint64_t umcg_awake(uint64_t s)
{
	return (s & FLAGS & ~(STATE | FREE | ADOPT | RANK)) | RUNNING;
}

/* As umcg_change(), for flags alone: the time stays, but for the one unit. */
static inline bool umcg_mark(struct umcg_thread *t, uint64_t *old, uint64_t flags)
{
	return umcg_exchange(t, old, ((*old & ~FLAGS) + TICK) | flags);
}

/*
 * Clear LOCKED, or other @flags, which the caller has set. Others may queue a
 * wake-up in the same moment, so it is one atomic addition. Returns the word as it
 * was.
 */
static inline uint64_t umcg_clear(struct umcg_thread *t, uint64_t flags)
{
	return __atomic_fetch_add(&t->rec.state_ts, TICK - flags, __ATOMIC_SEQ_CST);
}

/*
 * The caller begins, ends a step that a signal handler must not wait for: it
 * holds something, or is half way into a transition. Steps nest.
 */
static inline void umcg_step_begins(struct umcg_thread *self)
{
	self->inside++;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void umcg_step_ends(struct umcg_thread *self)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	self->inside--;
}

/*
 * Is the caller, whose word is @own, a signal handler that has interrupted one of
 * our functions, or a worker that has no server? Then the task that it would wait for
 * may be waiting for it: such calls fail with EAGAIN. So is a thread that is no
 * task, see umcg_refuse().
 */
static inline bool umcg_must_not_wait(const struct umcg_thread *self, uint64_t own)
{
	return (own & (STATE | LOCKED)) != RUNNING || self->inside;
}

/* The calling server, which may wait; NULL: the call is refused, and errno says why. */
static inline __attribute__((always_inline)) struct umcg_thread *umcg_calling_server(void)
{
	struct umcg_thread *self = umcg_self;

	if (likely(self && self->kind == KIND_SERVER &&
		   !umcg_must_not_wait(self, load(&self->rec.state_ts))))
		return self;
	umcg_refuse(KIND_SERVER);
	return NULL;
}

/*
 * Keep the hooks away from the calling worker, which has begun a step; and, in a
 * signal handler of a worker that has no server, keep away any server that would
 * run it. False: nothing to undo, as the caller is no worker, or has interrupted a
 * transition of its own.
 */
static inline bool umcg_lock_self(struct umcg_thread *self)
{
	uint64_t s = load(&self->rec.state_ts);
	unsigned int spins = 0;

	if (self->kind != KIND_WORKER)
		return false;
	for (;;) {
		if (likely(!(s & LOCKED))) {
			if ((s & STATE) != RUNNING && (s & STATE) != IDLE)
				return false;
			if (umcg_mark(self, &s, (s & FLAGS) | LOCKED | OWN))
				return true;
		} else if ((s & (STATE | OWN)) == RUNNING) {
			/* A server that is about to run us: it waits for no task. */
			umcg_relax(&spins);
			s = load(&self->rec.state_ts);
		} else {
			return false;
		}
	}
}

static inline void umcg_unlock_self(struct umcg_thread *self, bool locked)
{
	/* A kick that came while LOCKED was set has been ignored: take it now. */
	if (locked && unlikely(umcg_clear(self, LOCKED | OWN) & PREEMPTED))
		umcg_sys_kick(0, self->tid);
}

/*
 * The word of @w, which @utid named and which has to be a worker of the caller's
 * group, in *@s as soon as @w is not on its way to sleep. Returns 0 or EINVAL.
 */
static inline int umcg_settled_word(struct umcg_thread *self, struct umcg_thread *w,
				    umcg_tid utid, unsigned int *spins, uint64_t *s)
{
	for (;; umcg_relax(spins)) {
		*s = load_acquire(&w->rec.state_ts);
		if (unlikely(load_acquire(&w->kind) != KIND_WORKER ||
			     load(&w->utid) != utid || load(&w->group) != self->group))
			return EINVAL;
		if (likely((*s & (STATE | LOCKED)) != (IDLE | LOCKED)))
			return 0;
	}
}

/* Is this IDLE|IN_WAIT worker on the idle list, as its time was up? */
static inline bool umcg_is_listed(struct umcg_thread *w)
{
	return load_acquire(&w->rec.idle_workers_ptr) !=
	       (uint64_t)(uintptr_t)&load(&w->group)->head;
}

/* Does worker @w, IDLE with word @s, sleep in a wait that a wake-up ends? */
static inline bool umcg_worker_waits(struct umcg_thread *w, uint64_t s)
{
	return (s & (IN_WAIT | PREEMPTED)) == IN_WAIT && !umcg_is_listed(w);
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

static inline bool umcg_passes_on(struct umcg_group *g)
{
	return load(&g->flags) & UMCG_GROUP_PASS_ON;
}

static inline bool umcg_has_ranks(struct umcg_group *g)
{
	return load(&g->flags) & UMCG_GROUP_RANKS;
}

/* Flags of a server of @g that lends its place and permits all that the group does. */
static inline uint64_t umcg_lends(struct umcg_group *g)
{
	return IDLE | ADOPT | (umcg_has_ranks(g) ? RANK : 0);
}

/*
 * The server whose place worker @w has, who is RUNNING or LOCKED, or NULL. The kernel
 * knows it by its tid.
 */
static inline struct umcg_thread *umcg_server_of(struct umcg_thread *w)
{
	struct umcg_thread *server = load(&w->server);

	return likely(server) ? server : umcg_by_tid((pid_t)load(&w->rec.next_tid));
}

/*
 * @w, RUNNING|LOCKED and thread @tid, gets the place of @server from its worker, to
 * whom umcg_thread::server is @known.
 */
static inline void umcg_give_place(struct umcg_thread *server, struct umcg_thread *w,
				   uint32_t tid, struct umcg_thread *known)
{
	store(&w->server, known);
	store(&w->rec.next_tid, (uint32_t)load(&server->tid));
	store(&server->rec.next_tid, tid);
	store(&server->rec.tenant_tid, tid);
	store(&server->worker, load(&w->utid));
}

/*
 * A server has been busy elsewhere. Servers sleep, and none of them is in the slot:
 * the last one taken out of it has not run yet, and perhaps cannot. The caller sees
 * to what that one would have done.
 */
static inline void umcg_relay(struct umcg_thread *self, struct umcg_group *g)
{
	if (unlikely(load(&g->sleepers) && !load(&g->slot)))
		umcg_relay_now(self, g);
}

#endif /* LIBUMCG_INTERNAL_H */
