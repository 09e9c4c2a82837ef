/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The scheduler over libumcg, and what must hold so that no thread is left waiting.
 *
 * Who does what. Servers serve (serve.c). A timer (timer.c) ends turns, and looks at
 * the idle list before it does. If the policy has before(), a dispatcher
 * (dispatch.c) sleeps for arrivals, as no thread tells a server that lends its place.
 * These are libumcg's servers. The watchdog (watch.c) is a plain thread.
 *
 * The lock. All state below is under @lock; only those four take it, and threads
 * that are about to enter. No worker ever does: it could be taken off its server
 * while it holds the lock. Nothing that waits is done under it: a preemption is
 * asked for under it (so that it hits the turn that was meant), wake-ups are sent
 * after it (so that what wakes up does not wait for it). But for one that is due when a place is
 * recalled that was just about to be offered, recall(): it is only queued, and nobody wakes up.
 *
 * A thread's state and where it is:
 *
 *   READY	libumcg holds it for us (off the idle list, HELD or PREEMPTED), the
 *		policy has it
 *   RUNNING	next() returned it; running[server] names it. Its turn ends once,
 *		by the first that sees that it is over: its server, or the one
 *		that finds it on the idle list again. @turn tells turns apart.
 *   BLOCKED	blocked, waiting, or on the idle list and not yet seen by us
 *
 * A server's sleep, so that no thread is READY beside a server that sleeps:
 *
 *   AWAKE	it looks, or runs a thread. No wake-up is owed to it.
 *   SLEEPING	next() has returned NULL to it, and it is in umcg_get_idle_worker()
 *		or about to be. Set under the lock that next() was called under.
 *   WOKEN	one umcg_wake() has been promised to it under the lock, and is sent
 *		after. It ends the server's present sleep, or the next one if a
 *		worker came first; where places pass on it is taken before a place
 *		is lent. Until then no other is promised.
 *
 * - @version moves with each ready() and each kick to look: a server whose @looked
 *   is another has something to look at.
 * - Each change of @version, and each taking of a thread while others stay ready,
 *   wakes one SLEEPING server with something to look at, if the servers that are
 *   awake without a thread are not enough. That server does the same in turn.
 * - Arrivals are not in the policy's hands before a server looks at the idle list.
 *   A SLEEPING server is woken for them by libumcg. While none sleeps they wait
 *   for the next server that looks, for the end of a slice, or, if it matters which
 *   they are, are taken by the dispatcher at once.
 *
 * Places may pass on untold, see passing.c: then RUNNING, running[] and what follows
 * from them may be old, until catch_up() has asked. @vacant servers are not on their way.
 *
 * A turn that is to end: @asked says why, under the lock. Between the lock and the
 * moment in which the thread is RUNNING for libumcg nothing can be preempted; the
 * server looks at @asked as late as it can, and the timer tries again until the
 * turn is another.
 */
#ifndef UMCG_SCHED_INTERNAL_H
#define UMCG_SCHED_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>

#include <umcg-queue.h>
#include <umcg-sched.h>

#define EXPORT		__attribute__((visibility("default")))
#define COLD		__attribute__((cold, noinline))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define load(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define store(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)
/* A counter that one thread at a time moves and any thread reads. */
#define count(p, n)	store((p), load(p) + (n))

/* A preempted worker stays with the server that ran it: a policy decides, not a list. */
#ifdef UMCG_GROUP_KEEP_PREEMPTED
#define GROUP_FLAGS	(UMCG_GROUP_ENABLE_PREEMPTION | UMCG_GROUP_KEEP_PREEMPTED)
#else
#define GROUP_FLAGS	UMCG_GROUP_ENABLE_PREEMPTION
#endif

#define NEVER		UINT64_MAX
#define REPORT_ROOM	32768U
#define RETRY_NS	50000U
#define CHECKED_NS	200000U		/* turns as long as that are checked for CPU time of others */

enum umcg_sleep { AWAKE, SLEEPING, WOKEN };

/* Where in the policy a thread is. */
enum umcg_inside { OUTSIDE, IN_INIT, IN_READY, IN_NEXT, IN_STOPPED, IN_SLICE, IN_BEFORE, IN_DUMP };

struct runtime;

/* A thread of ours that calls the policy. */
struct actor {
	struct runtime *rt;
	const char *name;
	umcg_tid task;
	pthread_t thread;
	bool made;			/* by us: to be joined */
	pid_t tid;
	/* For the watchdog and the signal handler: */
	_Atomic uint32_t inside;	/* enum umcg_inside */
	_Atomic uint64_t calls;		/* of the policy's functions */
	uint32_t last_inside;		/* where a signal got it out */
	_Atomic bool stuck;		/* the watchdog wants it out of there */
	struct thread *_Atomic about;	/* the thread that the call is about, or NULL */
	int signal;			/* that got it out */
	const void *address;
	sigjmp_buf env;
	void *stack;			/* for signal handlers */
	stack_t old_stack;
	sigset_t old_mask;
	/* Watchdog's: the call that it saw, since when, and the CPU time then. */
	uint64_t seen_calls, seen_ns, seen_cpu_ns;
};

struct server {
	struct actor actor;
	uint32_t index;
	uint8_t sleep;			/* enum umcg_sleep */
	_Atomic bool there;		/* registered; the watchdog looks */
	bool retry;			/* the preemption came too early: the timer tries again */
	/* Where places pass on, see passing.c. */
	bool lent;			/* it is in umcg_run_worker() or umcg_offer_place(), or about to be */
	bool recalled;			/* since then: it will be told of the next block */
	bool vacant;			/* nobody has its place, */
	bool between;			/* or it is not known who is just taking it */
	bool idles;			/* has run no thread yet, or none for long: it offers no place */
	uint32_t passes;		/* that we know of */
	_Atomic uint32_t asked;		/* enum umcg_why + 1: its turn is to end; 0 */
	uint32_t kicked;		/* UMCG_KICK_, by the policy */
	uint64_t looked;
	uint64_t slice_ns, slice_end;	/* of the present turn; NEVER */
	uint64_t since_ns;		/* when it went to sleep or began its turn */
	struct server *next_wake;	/* wake-ups that its waker owes */
};

/* What programs have set and the policy has not seen. */
struct wishes {
	_Atomic uint32_t changed;	/* WISH_ */
	_Atomic uint64_t deadline_ns, expected_ns, request_ns;
	_Atomic uint32_t weight;
	_Atomic int32_t priority;
	_Atomic uint16_t tenant, klass;
};

#define WISH_DEADLINE	0x01U
#define WISH_EXPECTED	0x02U
#define WISH_WEIGHT	0x04U
#define WISH_PRIORITY	0x08U
#define WISH_TENANT	0x10U
#define WISH_KLASS	0x20U
#define WISH_REQUEST	0x40U
#define WISH_ALL	0x3fU		/* what struct umcg_sched_attr has */

struct thread {
	struct runtime *rt;
	umcg_tid task;			/* UMCG_NONE: the slot is free */
	pid_t tid;
	uint32_t next_free;		/* index + 1 */
	uint64_t turn;			/* number of its turn; goes on with the slot's next thread */
	uint64_t passed;			/* rt->turns when it became ready */
	uint64_t cpu_ns;		/* passing.c: its CPU time when it entered, */
	uint64_t seen_passes;		/* and stats.passes when that was looked at last */
	uint64_t checked_cpu_ns;	/* turn.c: its CPU time, and its service, when these */
	uint64_t checked_service_ns;	/* were compared last */
	struct thread *next_arrived;
	bool requeue;			/* stopped() is called, ready() will be */
	_Atomic bool yields, dropped;
	uint64_t tag;
	struct wishes wishes;
	struct umcg_sched_thread_stats stats;
	struct umcg_sched_thread_stats *copy;	/* the program's; NULL */
	/* The policy's bytes follow. */
	_Alignas(8) struct umcg_sched_thread pub;
};

struct runtime {
	struct umcg_sched base;		/* first: what the policy sees */
	pthread_mutex_t lock;
	umcg_t group;
	struct server *servers;
	struct actor timer, dispatcher, watchdog;
	uint32_t taken;			/* servers that threads are, or are about to be */
	uint32_t attached;		/* servers that have been there */
	uint32_t sleeping;		/* servers SLEEPING */
	uint32_t seated;		/* servers that run a thread */
	bool passing;			/* places may pass on */
	uint32_t vacant;		/* servers @vacant */
	bool closing, fallen;
	bool asks;			/* some server's @kicked is set, or @error is */
	bool tells;			/* there is somebody to tell of events: config.trace, config.event */
	char *error;			/* what umcg_error() said; NULL */
	uint64_t version, turns;
	struct server *wakes;		/* wake-ups to send after the lock, by @next_wake */
	/* What has become ready since it was last decided which turn has to end. */
	struct thread *arrived, **arrived_end;

	char *slots;			/* threads, @stride bytes each */
	size_t stride;
	uint32_t nr_slots, used_slots, free_slot;
	uint64_t seq;

	/* Timer: sleeps until @timer_at while @timer_word is what it was. */
	_Atomic uint32_t timer_word;
	uint64_t timer_at;
	uint64_t timer_busy;		/* when it last saw a thread run */
	_Atomic uint32_t watch_word;	/* 1: it is to end */
	uint64_t patience_ns;		/* the watchdog's, a little less than was asked for */

	struct umcg_sched_stats stats;
	struct umcg_sched_event *trace;	/* room for config.trace */
	uint64_t trace_seq;
	_Atomic uint64_t trace_put, trace_got;

	/* The scheduler's own threads say that they are there, or why not. */
	pthread_mutex_t start_lock;
	pthread_cond_t start_moved;
	uint32_t started;
	int start_error;
	bool helped;			/* the helpers are made */

	struct umcg_sched_config config;
	struct umcg_choice choice;
	void *first, *spare;		/* bytes of the policy, and of the one that may take over */
	char *first_servers, *spare_servers;
	bool guarded;			/* signals are, see guard.c */
	char said[UMCG_SENTENCE];	/* umcg_error() */
	char report[REPORT_ROOM];
	size_t report_length;
};

extern __thread struct actor *umcg_sched_actor __attribute__((visibility("hidden")));
extern __thread struct thread *umcg_sched_self __attribute__((visibility("hidden")));

static inline struct runtime *runtime_of(struct umcg_sched *s)
{
	return (struct runtime *)s;
}

static inline struct thread *thread_of(struct umcg_sched_thread *pub)
{
	return (struct thread *)(void *)((char *)pub - offsetof(struct thread, pub));
}

static inline struct thread *slot_at(struct runtime *rt, uint32_t index)
{
	return (struct thread *)(void *)(rt->slots + index * rt->stride);
}

/* Is that a slot that is, or was, in use? Not read before that is known. */
static inline bool is_slot(const struct runtime *rt, const struct thread *t)
{
	size_t offset = (size_t)((const char *)t - rt->slots);

	return offset < rt->used_slots * rt->stride && offset % rt->stride == 0;
}

/* Under lock. The time of what happens now; never back. */
static inline void tick(struct runtime *rt, uint64_t now)
{
	if (now > rt->base.now_ns)
		rt->base.now_ns = now;
}

static inline void lock(struct runtime *rt)
{
	pthread_mutex_lock(&rt->lock);
}

void umcg_sched_send_wakeups(struct server *list);

static inline void unlock(struct runtime *rt)
{
	struct server *list = rt->wakes;

	rt->wakes = NULL;
	pthread_mutex_unlock(&rt->lock);
	if (unlikely(list))
		umcg_sched_send_wakeups(list);
}

/* trace.c. Under lock. */
void umcg_sched_emit(struct runtime *rt, enum umcg_sched_event_kind kind, struct thread *t,
		     uint32_t server, uint32_t why, uint64_t arg);

static inline void emit(struct runtime *rt, enum umcg_sched_event_kind kind, struct thread *t,
			uint32_t server, uint32_t why, uint64_t arg)
{
	if (unlikely(rt->tells))
		umcg_sched_emit(rt, kind, t, server, why, arg);
}

/* call.c: the policy, guarded; the calls of each turn are in call.h. Under lock. */
int policy_init(struct runtime *rt);
void policy_dump(struct runtime *rt);
bool policy_before(struct runtime *rt, struct thread *a, struct thread *b);
COLD void follow_up(struct runtime *rt, struct thread *t);
COLD void refuse_next(struct runtime *rt, struct umcg_sched_thread *pub);
extern const struct umcg_sched_host umcg_sched_host_table;

/* turn.c: threads become ready, turns begin and end. Under lock. */
void be_ready(struct runtime *rt, struct thread *t, enum umcg_why why);
void arrive(struct runtime *rt, umcg_tid task);
void take_arrivals(struct runtime *rt);
void begin_turn(struct runtime *rt, struct server *server, struct thread *t);
void take_seat(struct runtime *rt, struct server *server, struct thread *t, uint64_t since);
void end_turn(struct runtime *rt, struct thread *t, enum umcg_why why);
void end_turns(struct runtime *rt, struct thread *t, enum umcg_why why, uint64_t ran);

/* serve.c. Why @t, which had the place of @self, is off it; @back came back. */
COLD enum umcg_why why_back(struct server *self, struct thread *t, umcg_tid back);

/* passing.c: what is done where places pass on. Under lock. */
void passing_enter(struct thread *t);
uint64_t unseen_ns(const struct thread *t);	/* CPU time in turns that were not seen; no lock */
COLD void charge_unseen(struct runtime *rt, struct thread *t);
COLD void lose_turn(struct runtime *rt, struct thread *t);
COLD void catch_up_places(struct runtime *rt);
COLD void lend_place(struct server *self);
COLD void recall(struct runtime *rt, struct server *server);
COLD void recall_all(struct runtime *rt);
COLD bool offer_place(struct server *self);
COLD uint64_t look_at_vacant(struct runtime *rt, struct server *server, uint64_t slice, uint64_t slices);
COLD void take_back(struct server *self, umcg_tid back, int error);

static inline void catch_up(struct runtime *rt)
{
	if (unlikely(rt->passing))
		catch_up_places(rt);
}

/* wake.c: which server has to look. Under lock. */
void pass_on(struct runtime *rt);
void wake_server(struct runtime *rt, struct server *server);
void sleep_for_work(struct server *self);
void note_sleep(struct server *server);
void note_wake(struct server *server);

/* preempt.c. Under lock. */
void ask_end(struct runtime *rt, struct server *server, enum umcg_why why);
void ask_again(struct runtime *rt, struct server *server);
void make_place(struct runtime *rt, struct thread *t);

/* actor.c: threads of our own. */
int actor_make(struct actor *actor, void *(*body)(void *actor), int cpu);
int actor_begin(struct actor *self, bool server);	/* first thing in its body; -1: return */
int actor_enlist(struct actor *self, bool server);	/* the calling thread, made or not */
void actor_resign(struct actor *self);

/* timer.c */
void *timer_body(void *actor);
void timer_notice(struct runtime *rt, uint64_t when);	/* under lock */
void timer_close(struct runtime *rt);			/* under lock */

/* serve.c, dispatch.c, watch.c */
void serve(struct server *server);
void *dispatcher_body(void *actor);
void *watch_body(void *actor);
void watch_close(struct runtime *rt);

/* fault.c: the policy is wrong. Under lock. */
void fail_policy(struct runtime *rt, enum umcg_fault fault, struct thread *t);
void recover(struct actor *actor);	/* after the policy was left by a signal */
void report_policy(struct runtime *rt, enum umcg_fault fault, struct thread *t,
		   const struct actor *where);	/* or without, if it cannot be had */

/* guard.c: signals. */
int guard_open(void);
void guard_close(void);
bool guard_holds(void);			/* would a signal get an actor out of the policy? */
int guard_enter(struct actor *self);	/* the calling thread */
void guard_leave(struct actor *self);
void guard_free(struct actor *self);

/* stats.c */
void read_stats(const struct thread *t, struct umcg_sched_thread_stats *stats);
uint64_t cpu_time_of(pid_t tid);

/* slots.c */
int slots_open(struct runtime *rt);
void slots_close(struct runtime *rt);
struct thread *slot_get(struct runtime *rt);	/* under lock */
void slot_put(struct runtime *rt, struct thread *t);
void grant_wishes(struct thread *t);		/* under lock */
void begin_noted(struct thread *t, uint64_t ran);	/* under lock */

#endif /* UMCG_SCHED_INTERNAL_H */
