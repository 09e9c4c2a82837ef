/* SPDX-License-Identifier: MIT */
/*
 * What the conformance programs share: the raw system calls, checks that name
 * file and line, a time limit, and (libtask.c) the smallest server that obeys
 * the contract. None of it uses libumcg: these programs test the kernel alone.
 */
#ifndef LIBRAW_H
#define LIBRAW_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/umcg.h>

#define NS_PER_MS	1000000ULL
#define NS_PER_S	1000000000ULL

/* Short names for the states; the low 18 bits of state_ts are compared. */
#define NONE		UMCG_TASK_NONE
#define RUNNING		UMCG_TASK_RUNNING
#define IDLE		UMCG_TASK_IDLE
#define BLOCKED		UMCG_TASK_BLOCKED
#define LOCKED		UMCG_TF_LOCKED
#define PREEMPTED	UMCG_TF_PREEMPTED
#define FREE		UMCG_TF_FREE
#define USER_BITS	(0x1fU << 13)

#define PARKED		(1U << 13)	/* ours: in umcg_wait and in no queue */

#define REGISTER	UMCG_CTL_REGISTER
#define UNREGISTER	UMCG_CTL_UNREGISTER
#define WORKER		UMCG_CTL_WORKER
#define HOLD_SIGNALS	UMCG_CTL_HOLD_SIGNALS
#define KEEP_PREEMPTED	UMCG_CTL_KEEP_PREEMPTED
#define WAKE_ONLY	UMCG_WAIT_WAKE_ONLY
#define WF_CURRENT_CPU	UMCG_WAIT_WF_CURRENT_CPU
#define MONOTONIC	UMCG_WAIT_CLOCK_MONOTONIC

/* --- libraw.c: system calls, checks, time limit --- */

/* All three return the result or the negative error number. */
int sys_ctl(uint32_t flags, struct umcg_task *self);
int sys_wait(uint32_t flags, uint64_t abs_timeout_ns);
int sys_kick(uint32_t flags, pid_t tid);

void raw_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void raw_skip(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void raw_check_state(const char *file, int line, const char *what,
		     const struct umcg_task *t, uint32_t want);

#define FAIL(...)	raw_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond)							\
	do {								\
		if (!(cond))						\
			FAIL("not true: %s (errno %d)", #cond, errno);	\
	} while (0)
#define CHECK_EQ(a, b)							\
	do {								\
		long long a_ = (long long)(a), b_ = (long long)(b);	\
									\
		if (a_ != b_)						\
			FAIL("%s is %lld, expected %s (%lld)",		\
			     #a, a_, #b, b_);				\
	} while (0)
#define CHECK_STATE(t, want) \
	raw_check_state(__FILE__, __LINE__, #t, t, want)
/* Wait without a time limit of its own; the program's limit ends a hang. */
#define WAIT_FOR(cond)							\
	do {								\
		while (!(cond))						\
			usleep(500);					\
	} while (0)

/*
 * Must come first in main(): leaves with 77 where the kernel has no UMCG, then
 * forks. The child returns from here and is the test; the parent waits, and
 * when $LIMIT seconds (default 60) are over says where every thread is, kills
 * them all and exits 1.
 */
void raw_start(void);

/* Runs one test function and names it, so that a hang or a failure has a place. */
#define RUN(fn)								\
	do {								\
		raw_note(#fn);						\
		fn();							\
	} while (0)
void raw_note(const char *what);

/* A positive number from argv[1], else from the environment, else the default. */
long raw_number(int argc, char **argv, const char *env, long def);

/* Runs @fn in a child; returns its wait status. A child that returns exits 0. */
int in_child(void (*fn)(void *arg), void *arg);
pid_t child_start(void (*fn)(void *arg), void *arg);
int child_wait(pid_t pid);
/* ... and expects it to die of @sig. */
void check_dies(void (*fn)(void *arg), void *arg, int sig, const char *what);
/* In such a child: nothing more to do. Returns, and so fails the test, after 10 s. */
void await_death(void);
void check_exits(void (*fn)(void *arg), void *arg, int code, const char *what);

/* --- libsys.c: threads, CPUs, files --- */

pthread_t spawn(void *(*fn)(void *arg), void *arg);
void join(pthread_t t);
int cpus(void);				/* CPUs this process may use */
void need_cpus(int n);			/* skips where there are fewer */
void pin(pid_t tid, int nth);		/* to the nth of those CPUs; tid 0: self */
void pin_thread(pthread_t t, int nth);
void unpin(pid_t tid);			/* to all of them */
uint64_t now_ns(clockid_t clock);
/* What /proc/self/task/@tid/@file begins with, in @buf; "" if the thread has ended. */
char *task_file(pid_t tid, const char *file, char *buf, size_t size);
char task_stat(pid_t tid);		/* the letter in /proc/PID/task/TID/stat; 0: gone */
bool asleep(pid_t tid);			/* neither running nor runnable */
uint64_t cpu_ns(pid_t tid);		/* CPU time of a thread of this process */
void *map_pages(size_t pages, int extra_flags);
void write_file(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Mounts @type on /tmp/umcg-@type if need be, for this program's own namespace. */
const char *mount_private(const char *type);
uint32_t raw_random(uint32_t *seed);
/* Blocks the calling thread for about @ns, in the kernel. */
void nap(uint64_t ns);

/* --- libtask.c: records, servers, workers --- */

/* Where workers go when they become idle, and what serves them. */
struct pool {
	uint64_t	head;		/* newest node of the idle list, or 0 */
	uint32_t	idle_server;	/* tid of a server that waits, or 0 */
	int		live;		/* workers started and not yet ended */
	struct server	*servers[8];
};

struct server {
	struct umcg_task rec;
	struct pool	*pool;
	pid_t		tid;
	struct worker	*current;	/* runs, or ran last; workers change it in a swap */
	struct worker	*first, *last;	/* taken from the idle list, oldest first */
	unsigned long	blocks, yields, preempts, ends;	/* how runs came to an end */
};

struct worker {
	struct umcg_task rec;		/* first: the idle list leads here */
	struct pool	*pool;
	struct server	*server;	/* valid while RUNNING */
	struct worker	*next;		/* in the server's queue */
	void		(*fn)(struct worker *w);
	void		*arg;
	pthread_t	thread;
	pid_t		tid;
	int		ctl;		/* what registration returned */
	volatile long	count;		/* the test's own */
};

void rec_init(struct umcg_task *t, uint32_t state);
uint32_t state_of(const struct umcg_task *t);
/* The word's timestamp minus @t_ns of CLOCK_MONOTONIC, in 16 ns units. */
int64_t stamp_since(uint64_t word, uint64_t t_ns);
bool word_cas(struct umcg_task *t, uint64_t old, uint32_t to);	/* from this very value */
bool state_cas(struct umcg_task *t, uint32_t from, uint32_t to);
void state_set(struct umcg_task *t, uint32_t from, uint32_t to);
const char *state_name(uint32_t state, char *buf, size_t size);

/* Basic tasks: the calling thread, with its record. */
void basic_register(struct umcg_task *self);
void basic_wait(struct umcg_task *self);	/* until RUNNING, whatever wakes it */
/* Marks @t RUNNING and wakes it; false if it was not IDLE. */
bool basic_wake(struct umcg_task *self, struct umcg_task *t, pid_t tid);
void basic_switch(struct umcg_task *self, struct umcg_task *t, pid_t tid);

/*
 * What worker_start() registers workers with, beside REGISTER and WORKER. At first
 * KEEP_PREEMPTED: a preempted worker is its server's, which runs it again.
 */
extern uint32_t worker_options;

void server_register(struct server *s, struct pool *p);
void server_unregister(struct server *s);
struct worker *server_poll(struct server *s);	/* next idle worker or NULL */
struct worker *server_next(struct server *s);	/* waits; NULL: no worker lives */
struct worker *server_expect(struct server *s, struct worker *w);
void server_push(struct server *s, struct worker *w);	/* to the queue's end */
void server_start_run(struct server *s, struct worker *w);	/* all but the wait */
void server_run_claimed(struct server *s, struct worker *w);	/* RUNNING|LOCKED already */
void server_wait(struct server *s);		/* until RUNNING */
/*
 * Runs @w until the server has its place back; returns the state (low bits) of
 * s->current, the worker that ran last.
 */
uint32_t server_run(struct server *s, struct worker *w);
/* As server_run(), and again after each block, until the worker has given up. */
uint32_t server_run_through(struct server *s, struct worker *w);
/* One run of the next worker; false: no worker lives. */
bool server_step(struct server *s);
/* Round robin until every worker of the pool has ended. */
void server_loop(struct server *s);

void worker_start(struct worker *w, struct pool *p, void (*fn)(struct worker *), void *arg);
void worker_join(struct worker *w);
bool worker_on_list(const struct worker *w);
void worker_claim(struct worker *w);		/* IDLE -> RUNNING|LOCKED */
void worker_nap(struct worker *w);	/* BLOCKED for a while */
void worker_yield(struct worker *w);
void worker_swap(struct worker *w, struct worker *to);
/* To the next one in the server's queue, and to its end; false: it is empty. */
bool worker_swap_next(struct worker *w);
/*
 * Gives the server back and waits, in no queue, for worker_unpark() or the
 * timeout; @where says which worker to unpark. Returns as umcg_wait does.
 */
int worker_park(struct worker *w, struct worker **where, uint64_t abs_timeout);
/* "wake" in user space: pushes @w and wakes a server; @self is the caller's record. */
void worker_unpark(struct umcg_task *self, struct worker *w);
/* Marks a RUNNING worker PREEMPTED. */
bool worker_mark(struct worker *w);

#endif /* LIBRAW_H */
