/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libumcg: user-space scheduling on User-Managed Concurrency Groups.
 *
 * Functions return 0 or a handle; -1 or UMCG_NONE with errno set on failure.
 * Misuse is an error return, never an abort. See libumcg(7).
 */
#ifndef LIBUMCG_H
#define LIBUMCG_H

/* Also what programs for revision 0.8 of the interface take from here. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <linux/umcg.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library itself redefines this to emit the inlines as symbols, too. */
#ifndef LIBUMCG_INLINE
#define LIBUMCG_INLINE static inline
#endif

typedef intptr_t umcg_t;	/* a group */
typedef intptr_t umcg_tid;	/* a task; not a kernel thread id */

#define UMCG_NONE	((intptr_t)0)

/* umcg_create_group() flags */
#define UMCG_GROUP_ENABLE_PREEMPTION	0x1U
/* umcg_get_idle_worker() serves the newest idle worker first, not the oldest. */
#define UMCG_GROUP_NEWEST_FIRST		0x2U
/*
 * A preempted worker stays in the hands of the server that ran it, on no list.
 * Without the flag it is back on the list of idle workers.
 */
#define UMCG_GROUP_KEEP_PREEMPTED	0x4U
/* Signals with a handler wait until a worker has a server. */
#define UMCG_GROUP_HOLD_SIGNALS		0x8U
/*
 * Places pass on: while nobody else is ready, the place of a worker that blocks goes to
 * the next one that comes back, and its server is not told. See umcg_run_worker(3).
 */
#define UMCG_GROUP_PASS_ON		0x10U
/*
 * Workers have ranks: one of better rank that comes back takes the place of one of worse
 * rank; implies UMCG_GROUP_PASS_ON. See umcg_set_rank(3).
 */
#define UMCG_GROUP_RANKS		0x20U
/* What a worker of such a group begins with; the smaller the more urgent. */
#define UMCG_RANK_NORMAL		0x10000U
/*
 * Preempt with signal @sig instead of umcg_kick(2); implies
 * UMCG_GROUP_ENABLE_PREEMPTION.
 */
#define UMCG_GROUP_PREEMPT_SIGNAL(sig)	(((uint32_t)(sig) & 0x7fU) << 8)

/* User-space flags in what umcg_get_task_state() returns. */
#define UMCG_UTF_WORKER_IN_WAIT		(1ULL << 16)
#define UMCG_UTF_WAKEUP_QUEUED		(1ULL << 17)

bool umcg_enabled(void);

umcg_tid umcg_get_utid(void);
void umcg_set_task_tag(umcg_tid utid, intptr_t tag);
intptr_t umcg_get_task_tag(umcg_tid utid);
uint64_t umcg_get_task_state(umcg_tid utid);
uint64_t umcg_get_task_stamp(umcg_tid utid);

umcg_t umcg_create_group(uint32_t flags);
int umcg_destroy_group(umcg_t group);

umcg_tid umcg_register_basic_task(intptr_t tag);
umcg_tid umcg_register_server(umcg_t group, intptr_t tag);
umcg_tid umcg_register_worker(umcg_t group, intptr_t tag);
int umcg_unregister_task(void);

int umcg_wait(uint64_t abs_timeout);
int umcg_yield(void);
int umcg_wake(umcg_tid utid, bool wf_current_cpu);
int umcg_try_wake(umcg_tid utid, bool wf_current_cpu);
int umcg_swap(umcg_tid next, uint64_t abs_timeout);

umcg_tid umcg_get_idle_worker(bool wait);
int umcg_put_idle_worker(umcg_tid worker);
umcg_tid umcg_run_worker(umcg_tid worker);
bool umcg_is_preempted(umcg_tid worker);
uint32_t umcg_get_passes(umcg_tid server);
umcg_tid umcg_get_tenant(umcg_tid server);
int umcg_set_rank(umcg_tid worker, uint32_t rank);
uint32_t umcg_get_rank(umcg_tid worker);
umcg_tid umcg_get_left(intptr_t *tag);

/* Who has the place of a server; see umcg_get_place(3). */
enum umcg_place_state {
	UMCG_PLACE_OWN,		/* the server itself: it does not lend it */
	UMCG_PLACE_LENT,	/* @tenant */
	UMCG_PLACE_FREE,	/* no worker: the last one has blocked untold */
	UMCG_PLACE_BETWEEN,	/* it is just passing from one to another, or back */
};

struct umcg_place {
	umcg_tid tenant;	/* UMCG_NONE unless it is LENT */
	uint64_t since_ns;	/* since when, on CLOCK_MONOTONIC */
	uint32_t state;		/* enum umcg_place_state */
	uint32_t passes;	/* as umcg_get_passes() */
};

int umcg_get_place(umcg_tid server, struct umcg_place *place);
int umcg_recall_place(umcg_tid server);
umcg_tid umcg_offer_place(void);

int umcg_preempt_worker(umcg_tid worker);

/* What a trace record tells; see umcg_trace_read(3). */
enum umcg_trace_kind {
	UMCG_TRACE_REGISTER = 1,	/* NONE -> RUNNING, or BLOCKED for a worker */
	UMCG_TRACE_UNREGISTER,		/* RUNNING -> NONE */
	UMCG_TRACE_EXIT,		/* seen by the server: the worker's thread has ended */
	UMCG_TRACE_WAIT,		/* RUNNING -> IDLE in umcg_wait(); peer: a worker's server */
	UMCG_TRACE_SWAP,		/* RUNNING -> IDLE in umcg_swap(); peer: runs next */
	UMCG_TRACE_WAKE,		/* IDLE -> RUNNING, or a worker put on the idle list */
	UMCG_TRACE_QUEUE,		/* a wake-up was queued; the state does not change */
	UMCG_TRACE_CONSUME,		/* a queued wake-up was consumed by its task */
	UMCG_TRACE_TIMEOUT,		/* a wait ended with ETIMEDOUT */
	UMCG_TRACE_INTERRUPT,		/* a wait ended with EINTR */
	UMCG_TRACE_SLEEP,		/* server RUNNING -> IDLE: waits for an idle worker */
	UMCG_TRACE_POP,			/* a server took the worker off the idle list */
	UMCG_TRACE_RUN,			/* worker IDLE -> RUNNING; peer: server */
	UMCG_TRACE_LEND,		/* server RUNNING -> IDLE; peer: worker */
	UMCG_TRACE_RETURN,		/* server IDLE -> RUNNING; peer: worker it got back */
	UMCG_TRACE_BLOCK,		/* seen by the server: its worker has blocked */
	UMCG_TRACE_PREEMPTED,		/* seen by the server: its worker was preempted */
	UMCG_TRACE_PREEMPT,		/* a worker was marked for preemption */
	UMCG_TRACE_YIELD,		/* RUNNING -> IDLE, on the list; peer: server */
	UMCG_TRACE_PASSES,		/* seen by the server: its place has passed on; peer: to whom */
};

/* One transition. Plain data, 48 bytes, no padding. */
struct umcg_trace_record {
	uint64_t time_ns;	/* CLOCK_MONOTONIC */
	umcg_t group;		/* of the task; UMCG_NONE: a basic task */
	int32_t tid;		/* kernel thread id of the task that changed */
	int32_t cpu;		/* where the record was made, -1: unknown */
	int32_t peer;		/* kernel thread id of the other party, or 0 */
	uint32_t kind;		/* enum umcg_trace_kind */
	uint32_t old_state;	/* as umcg_get_task_state() gives it */
	uint32_t new_state;
	/*
	 * WAIT, SWAP: the absolute timeout. POP, RETURN and what a server has
	 * seen: when it happened, as the state word tells. Both in ns, or 0.
	 * PASSES: how many blocks and adoptions there is no record of.
	 */
	uint64_t arg;
};

int umcg_trace_enable(umcg_t group, bool on);
ssize_t umcg_trace_read(struct umcg_trace_record *records, size_t count);
uint64_t umcg_trace_lost(umcg_t group);

/* The clock of all timeouts: CLOCK_MONOTONIC in nanoseconds. */
LIBUMCG_INLINE uint64_t umcg_get_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* The state in a value of umcg_get_task_state(), without its flags. */
LIBUMCG_INLINE uint64_t umcg_state_of(uint64_t task_state)
{
	return task_state & UMCG_TASK_STATE_MASK;
}

#ifdef __cplusplus
}
#endif

#endif /* LIBUMCG_H */
