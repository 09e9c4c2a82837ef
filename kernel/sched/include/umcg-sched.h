/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libumcg-sched: threads under a scheduling policy of one's own, over libumcg.
 *
 * A scheduler has servers, which stand for CPUs, and threads, which are libumcg's
 * workers. Which thread a server runs next its policy says (umcg-policy.h); the
 * rest is done here. Functions return 0 or a pointer; -1 or NULL with errno set on
 * failure. See umcg-sched(7).
 */
#ifndef UMCG_SCHED_H
#define UMCG_SCHED_H

#include <pthread.h>

#include <libumcg.h>
#include <umcg-host.h>
#include <umcg-policy.h>

#ifdef __cplusplus
extern "C" {
#endif

/* struct umcg_sched_config.flags */
/* Leave SIGSEGV and its like alone: then a policy that crashes ends the process. */
#define UMCG_SCHED_NO_HANDLER	0x1U
/* The report of a policy that is wrong goes to @fault alone, not to stderr. */
#define UMCG_SCHED_NO_STDERR	0x2U
/*
 * The policy sees to it itself that its functions come back: they may wait, for an
 * interpreter say, and the watchdog looks for threads that it forgets, not for that.
 */
#define UMCG_SCHED_COMES_BACK	0x4U
/*
 * While no thread is ready, a server whose thread blocks is not told: the next one that
 * comes back has its place, see umcg-sched(7). The policy has to permit it,
 * UMCG_MAY_PASS_ON.
 */
#define UMCG_SCHED_PASS_ON	0x8U

struct umcg_sched_thread_stats;
struct umcg_sched_event;

struct umcg_sched_report {
	enum umcg_fault fault;
	const char *text;		/* all of it, some lines; what stderr got, too */
	const char *policy;		/* whose fault it is */
	uint32_t thread;		/* id of the thread it is about; UINT32_MAX: none */
	int32_t tid;			/* and its kernel thread id; 0 */
	uint32_t server;		/* that had it last; UMCG_NO_SERVER */
};

/* All zero but @size is a scheduler with fifo and one server. */
struct umcg_sched_config {
	size_t size;			/* sizeof(struct umcg_sched_config) */
	const char *policy;		/* as umcg_choose() reads it; NULL: "fifo" */
	const struct umcg_policy *own;	/* instead: this one */
	const char *options;		/* with @own; or NULL */
	void *binding;			/* for @own: struct umcg_sched.binding */
	uint32_t servers;		/* 0: 1 */
	uint32_t threads;		/* at most so many at a time; 0: 32768 */
	const int *cpus;		/* server i runs on cpus[i % nr_cpus] */
	uint32_t nr_cpus;		/* 0: wherever */
	uint32_t flags;			/* UMCG_SCHED_ */
	uint64_t watchdog_ns;		/* 0: 5 s; UINT64_MAX: no watchdog */
	uint64_t seed;			/* of umcg_random() */
	uint32_t trace;			/* room for so many events; 0: no trace */
	/*
	 * The policy has failed and been replaced by rr, so that threads go on. Called
	 * by a thread of the scheduler, with its lock held: set flags, call nothing of
	 * this library. The report goes to stderr, too, unless @flags say otherwise.
	 */
	void (*fault)(void *arg, const struct umcg_sched_report *report);
	void *arg;
	/*
	 * Instead of the ring that umcg_sched_read_trace() reads (@trace is 0): each event,
	 * as it comes. Under the scheduler's lock: write it down, call nothing.
	 */
	void (*event)(void *arg, const struct umcg_sched_event *event);
	/*
	 * Makes the scheduler's own threads; NULL: pthread_create(). In this order, by
	 * the caller of umcg_sched_start(): the timer, the dispatcher (if the policy has
	 * before()), the watchdog (if there is one), the servers.
	 */
	int (*spawn)(pthread_t *thread, const pthread_attr_t *attr,
		     void *(*body)(void *), void *arg);
};

/* One sentence in @why (UMCG_SENTENCE bytes, or NULL) if it fails. */
struct umcg_sched *umcg_sched_create(const struct umcg_sched_config *config, char *why);
/* Make the servers. Threads may enter before, and wait. */
int umcg_sched_start(struct umcg_sched *s);
/*
 * Instead of umcg_sched_start(): the calling thread is the next server. Returns 0
 * when umcg_sched_stop() has been called.
 */
int umcg_sched_serve(struct umcg_sched *s);
/* All threads have left: servers end. EBUSY: one has not. */
int umcg_sched_stop(struct umcg_sched *s);
/*
 * After umcg_sched_stop(), and after each umcg_sched_serve() has returned. In a child
 * of fork(), which has neither servers nor scheduled threads, without both.
 */
int umcg_sched_destroy(struct umcg_sched *s);

/* What a policy decides by; struct umcg_sched_thread says what each means. */
struct umcg_sched_attr {
	uint64_t deadline_ns, expected_ns;
	uint32_t weight;		/* 0: UMCG_WEIGHT_NORMAL */
	int32_t priority;
	uint16_t tenant, klass;
	/*
	 * Of umcg_sched_enter() only: after each turn the thread's statistics are
	 * written there, too. It lasts as long as the scheduler does, or until they
	 * say UMCG_SCHED_NONE: that is the last that is written. NULL: nowhere.
	 */
	struct umcg_sched_thread_stats *stats;
};

/*
 * The calling thread is scheduled from now on; returns when a server runs it
 * first. EAGAIN: there are as many threads as there may be. @attr may be NULL;
 * @tag is yours, see struct umcg_sched_event.
 */
int umcg_sched_enter(struct umcg_sched *s, const struct umcg_sched_attr *attr, uint64_t tag);
/* It is a plain thread again. A thread that ends leaves by itself. */
int umcg_sched_leave(void);
/* Let others go first, if there are any. */
int umcg_sched_yield(void);

/*
 * Change what the policy sees of @task, from its next ready() on. By any thread,
 * without a lock. ESRCH: there is no such thread.
 */
int umcg_sched_set_deadline(umcg_tid task, uint64_t deadline_ns);
int umcg_sched_set_expected(umcg_tid task, uint64_t expected_ns);
int umcg_sched_set_weight(umcg_tid task, uint32_t weight);
int umcg_sched_set_priority(umcg_tid task, int32_t priority);
int umcg_sched_set_tenant(umcg_tid task, uint16_t tenant);
int umcg_sched_set_klass(umcg_tid task, uint16_t klass);

/*
 * The calling thread begins a request: service counts anew, and what was dropped
 * is forgotten.
 */
int umcg_sched_begin_request(void);
/* Has the policy given up the calling thread's request, see umcg_drop()? */
bool umcg_sched_dropped(void);

/* Sums since the beginning. Read while they move: each is right, not all at once. */
struct umcg_sched_stats {
	uint64_t turns, blocked, waited, preempted, expired, yielded, ended;
	uint64_t sleeps;		/* of servers, for want of work: also those that offer their place */
	uint64_t wakeups;		/* sent to servers that slept */
	uint64_t kicks;			/* preemptions asked for and accepted */
	uint64_t late_kicks;		/* of those, after another try */
	uint64_t dropped;		/* requests */
	uint64_t ran_ns, ready_ns;	/* of all threads: running, ready */
	uint64_t longest_ready_ns, longest_turn_ns;
	uint32_t threads, most_threads;
	uint32_t faults;
	uint64_t trace_lost;		/* events that found the trace full */
	uint64_t passes;		/* blocks, and threads that came back, that no server was told of */
};

struct umcg_sched_thread_stats {
	uint32_t id;
	int32_t tid;
	uint8_t state;			/* enum umcg_sched_state */
	uint16_t klass;
	uint64_t tag;
	uint64_t turns, blocked, waited, preempted, expired, yielded;
	uint64_t ran_ns, ready_ns;
	uint64_t longest_ready_ns, longest_turn_ns;
};

void umcg_sched_get_stats(struct umcg_sched *s, struct umcg_sched_stats *stats);
/*
 * Of the first thread that is there with an id of *@id or more; its id is stored
 * there. False: there is none.
 */
bool umcg_sched_get_thread(struct umcg_sched *s, uint32_t *id, struct umcg_sched_thread_stats *stats);

enum umcg_sched_event_kind {
	UMCG_SCHED_EVENT_READY,		/* @why */
	UMCG_SCHED_EVENT_RUN,		/* @arg: how long it was ready */
	UMCG_SCHED_EVENT_STOP,		/* @why; @arg: how long it ran */
	UMCG_SCHED_EVENT_KICK,		/* @why: its turn is to end */
	UMCG_SCHED_EVENT_SLEEP,		/* a server, for want of work; @arg: its kernel thread id */
	UMCG_SCHED_EVENT_WAKE,		/* a server: it looks again; @arg: the same */
	UMCG_SCHED_EVENT_FAULT,		/* @why: enum umcg_fault */
	UMCG_SCHED_EVENT_PASS,		/* a server's place has passed on; @arg: passes there is no other event of */
};

/* One decision. Plain data, 48 bytes, in the order in which they were taken. */
struct umcg_sched_event {
	uint64_t time_ns;		/* CLOCK_MONOTONIC */
	uint64_t arg;
	uint64_t tag;			/* of the thread */
	int32_t tid;			/* of the thread; 0: it is about a server */
	uint32_t thread;		/* its id */
	uint32_t server;
	uint16_t kind, why;
	uint64_t seq;			/* a number left out: events were lost */
};

/* Take up to @count events; how many. One reader at a time. */
size_t umcg_sched_read_trace(struct umcg_sched *s, struct umcg_sched_event *events, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* UMCG_SCHED_H */
