/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a scheduling policy is, and what it may use. See umcg-policy(7).
 *
 * The same object file runs in three hosts: over libumcg (libumcg-sched), in a
 * simulator with virtual time, and under programs that know nothing of it. So a
 * policy sees no more than what is here, and everything it does follows from
 * what it is told:
 *
 * - It keeps its data in its own bytes: some for each thread, some for each
 *   server, some for all; zeroed at first, with addresses that do not change.
 *   No malloc, no static variables that change.
 * - The time is umcg_now(), chance is umcg_random(). It reads no clock, makes no
 *   system call, never waits, and orders nothing by addresses.
 * - Its functions are called one at a time, under the scheduler's lock.
 *
 * It needs no library: umcg-policy.h and umcg-queue.h are all of it.
 */
#ifndef UMCG_POLICY_H
#define UMCG_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Moves with every change after which an old policy would not run any more. */
#define UMCG_POLICY_ABI		1U

#define UMCG_NO_SERVER		UINT32_MAX
#define UMCG_WEIGHT_NORMAL	1024U	/* as nice 0 in the kernel */
#define UMCG_WEIGHT_MAX		(1U << 20)
#define UMCG_TENANTS		256U	/* tenants are 0 .. 255 */

/* Why a thread is ready, or why its turn is over. */
enum umcg_why {
	UMCG_WHY_NEW,		/* ready: for the first time */
	UMCG_WHY_WOKEN,		/* ready: what it was blocked in or waited for is over */
	UMCG_WHY_PREEMPTED,	/* both: another took its place, see before() and umcg_kick() */
	UMCG_WHY_EXPIRED,	/* both: its slice is over */
	UMCG_WHY_YIELDED,	/* both: it gave its place away itself */
	UMCG_WHY_BLOCKED,	/* over: it is blocked in the kernel */
	UMCG_WHY_WAITING,	/* over: it waits to be woken by another thread */
	UMCG_WHY_ENDED,		/* over: it has left; its bytes will be another's */
};

enum umcg_sched_state {
	UMCG_SCHED_NONE,	/* no thread: not there yet, or gone */
	UMCG_SCHED_READY,	/* the policy has it */
	UMCG_SCHED_RUNNING,	/* a server has it, by next() */
	UMCG_SCHED_BLOCKED,	/* blocked or waiting */
};

/* struct umcg_sched_thread.flags */
#define UMCG_THREAD_DROPPED	0x1U	/* see umcg_drop() */

/*
 * One thread. Its policy reads it, the host writes it. What programs and rules
 * may set does not change while the thread is READY: a new value is there in the
 * thread's next ready(). Times and service in ns.
 */
struct umcg_sched_thread {
	/* Set by programs, by rules, by the description of a workload. */
	uint64_t deadline_ns;		/* of the present request, as umcg_now(); 0: none */
	uint64_t expected_ns;		/* service that the present request needs; 0: unknown */
	uint32_t weight;		/* its share against others; UMCG_WEIGHT_NORMAL */
	int32_t priority;		/* larger goes first; 0 is normal, above it is urgent */
	uint16_t tenant;		/* on whose behalf: 0 .. UMCG_TENANTS - 1 */
	uint16_t klass;			/* what kind of thread, for statistics */

	/* Written by the host. */
	uint8_t state;			/* enum umcg_sched_state */
	uint8_t flags;			/* UMCG_THREAD_ */
	uint16_t reserved;
	uint32_t id;			/* among those that live, small; used again */
	uint32_t server;		/* that has it or had it last; UMCG_NO_SERVER: none yet */
	uint64_t seq;			/* of all threads that ever were; never used again */
	uint64_t service_ns;		/* it has run for so long, without its present turn */
	uint64_t request_service_ns;	/* the same, since its present request began */
	uint64_t request_ns;		/* when that was: at its beginning, if it has no requests */
	uint64_t ready_ns;		/* when it became ready last */
	uint64_t turn_ns;		/* when its last turn began */
};

/* struct umcg_policy.flags, struct umcg_sched.flags */
#define UMCG_MAY_STARVE		0x1U	/* passes over ready threads without a bound */
#define UMCG_MAY_IDLE		0x2U	/* lets a server idle beside ready threads, on purpose */
/*
 * While no thread is ready, one that comes back may have a place at once, without ready()
 * and next(); stopped() is called for the last of several such turns on a server.
 */
#define UMCG_MAY_PASS_ON	0x4U

struct umcg_sched;

/*
 * An option. The host reads them before init() and stores each as a uint64_t at
 * @offset of the policy's own bytes. A list of them ends with a @name of NULL.
 */
struct umcg_option {
	const char *name;	/* with its unit: "slice_us" */
	const char *help;	/* one line */
	uint64_t otherwise;	/* the value if it is not given */
	uint64_t min, max;
	const char *choices;	/* "keep|last|drop": the value is which, from 0; or NULL */
	size_t offset;
	/* 0, or: the name is followed by 0 .. @count - 1, and each has its uint64_t. */
	uint32_t count;
};

/* An option that is a number, in @field of the policy's own bytes, a @type, and named as that. */
#define UMCG_OPTION(type, field, text, value, least, most) {			\
	.name = #field, .help = (text), .otherwise = (value), .min = (least),	\
	.max = (most), .offset = offsetof(type, field),				\
}

/*
 * A policy. For its functions: @s is the scheduler, @t a thread. What is NULL is
 * left out; ready() and next() must be there. In brackets what the field calls
 * them: ghOSt's messages, sched_ext's operations.
 */
struct umcg_policy {
	uint32_t abi;			/* UMCG_POLICY_ABI; by UMCG_POLICY() */
	uint32_t size;			/* of this struct; by UMCG_POLICY() */
	const char *name;		/* by UMCG_POLICY() */
	const char *summary;		/* what it is good for, and where it fails */
	uint32_t flags;			/* UMCG_MAY_; init() may change those of @s */
	/* Its own bytes: for all, for each server, for each thread (few, please). */
	uint32_t sched_size, server_size, thread_size;
	const struct umcg_option *options;

	/* Options are read, bytes are zero otherwise. -1 after umcg_error(). [init] */
	int (*init)(struct umcg_sched *s);
	/*
	 * @t is ready: the policy has it from now on, until next() returns it.
	 * [TaskNew, TaskRunnable, TaskPreempted, TaskYield; runnable, enqueue]
	 */
	void (*ready)(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why);
	/*
	 * Whom does @server run? One that is ready, and is so no more, or NULL. Then
	 * the server sleeps until ready() or umcg_kick(). [dispatch]
	 */
	struct umcg_sched_thread *(*next)(struct umcg_sched *s, uint32_t server);
	/*
	 * @t's turn of @ran_ns on t->server is over; what it has run is counted in
	 * @t. PREEMPTED, EXPIRED, YIELDED: ready() follows at once.
	 * [TaskBlocked, TaskDead; stopping, quiescent]
	 */
	void (*stopped)(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why,
			uint64_t ran_ns);
	/*
	 * How long may @t, whose turn begins, run? In ns; 0: no end. When it is over
	 * and no thread is ready the turn goes on for another slice. [slice]
	 */
	uint64_t (*slice)(struct umcg_sched *s, struct umcg_sched_thread *t);
	/*
	 * Must @a, ready, take the place of @b, running, as soon as it can? Asked
	 * when @a becomes ready and no server is free. Of several that must give way,
	 * looked through by server, the next is chosen instead of the one so far if
	 * that one goes before it, or if neither does and its turn began earlier.
	 */
	bool (*before)(struct umcg_sched *s, const struct umcg_sched_thread *a,
		       const struct umcg_sched_thread *b);
	/* Tell by umcg_print() what is in the queues: a report is being written. [dump] */
	void (*dump)(struct umcg_sched *s);
};

/* umcg_kick() */
#define UMCG_KICK_WAKE		0x1U	/* if it sleeps, ask next() again */
#define UMCG_KICK_PREEMPT	0x2U	/* if it runs a thread, end that one's turn */

/* What a host does for a policy. Call them by the functions below. */
struct umcg_sched_host {
	void (*kick)(struct umcg_sched *s, uint32_t server, uint32_t how);
	void (*error)(struct umcg_sched *s, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
	void (*print)(struct umcg_sched *s, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
};

/* A scheduler, as far as its policy may look. Hosts have more after it. */
struct umcg_sched {
	const struct umcg_sched_host *host;
	const struct umcg_policy *policy;
	void *policy_data;		/* its sched_size bytes */
	char *server_data;		/* its server_size bytes for each server */
	struct umcg_sched_thread **running;	/* by server: what it runs, or NULL */
	uint64_t now_ns;
	uint64_t random;		/* at first the seed */
	uint32_t servers;
	uint32_t flags;			/* UMCG_MAY_ */
	uint32_t threads;		/* that are there: ready, running or blocked */
	uint32_t ready;			/* of those, ready */
	void *binding;			/* for policies that another language writes */
};

/*
 * Define and export a policy: UMCG_POLICY(fifo, .summary = "...", .next = next);
 * makes umcg_policy_fifo. A shared object is found by umcg_policy_exported, which
 * is weak so that many policies can be linked into one program.
 */
#define UMCG_POLICY(id, ...)							\
	extern const struct umcg_policy umcg_policy_##id;			\
	extern const struct umcg_policy *const umcg_policy_exported;		\
	__attribute__((weak, visibility("default")))				\
	const struct umcg_policy *const umcg_policy_exported = &umcg_policy_##id;	\
	__attribute__((visibility("default")))					\
	const struct umcg_policy umcg_policy_##id = {				\
		.abi = UMCG_POLICY_ABI, .size = sizeof(struct umcg_policy),	\
		.name = #id, __VA_ARGS__					\
	}

/* The policy's own bytes. Those of a thread follow it, aligned to 8. */
static inline void *umcg_sched_data(const struct umcg_sched *s)
{
	return s->policy_data;
}

static inline void *umcg_server_data(const struct umcg_sched *s, uint32_t server)
{
	return s->server_data + (size_t)server * ((s->policy->server_size + 7U) & ~7U);
}

static inline void *umcg_thread_data(const struct umcg_sched_thread *t)
{
	return (void *)(uintptr_t)(t + 1);
}

/* The thread whose own bytes begin at @data; NULL for NULL. */
static inline struct umcg_sched_thread *umcg_thread_of(const void *data)
{
	return data ? (struct umcg_sched_thread *)(uintptr_t)data - 1 : NULL;
}

/* In ns. During one call of the policy it stands still; it never goes back. */
static inline uint64_t umcg_now(const struct umcg_sched *s)
{
	return s->now_ns;
}

/* How long the present turn of @t lasts already; 0 if it does not run. */
static inline uint64_t umcg_turn_ns(const struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	return t->state == UMCG_SCHED_RUNNING && s->now_ns > t->turn_ns ? s->now_ns - t->turn_ns : 0;
}

/*
 * For policies that rank by attained service: that of the present request, or of the part of
 * it that counts. Part of a thread's bytes.
 */
struct umcg_attained {
	uint64_t skipped_ns;		/* service of the request that does not count */
	uint64_t request_ns, epoch;	/* of which request that was, and in which epoch */
};

/* In ready(): is it another request? In another @epoch, or @anew, what it has had counts no more. */
static inline void umcg_attained_begin(struct umcg_attained *a, const struct umcg_sched_thread *t,
				       uint64_t epoch, bool anew)
{
	if (a->request_ns != t->request_ns)
		a->skipped_ns = 0;
	if (a->epoch != epoch || anew)
		a->skipped_ns = t->request_service_ns;
	a->request_ns = t->request_ns;
	a->epoch = epoch;
}

/* In ns, with the present turn. */
static inline uint64_t umcg_attained_ns(const struct umcg_sched *s, const struct umcg_sched_thread *t,
					const struct umcg_attained *a)
{
	uint64_t service = t->request_service_ns + umcg_turn_ns(s, t);

	return service > a->skipped_ns ? service - a->skipped_ns : 0;
}

/*
 * For multilevel feedback queues: with so much service in all a thread leaves @level, whose share
 * is twice that of the level above it.
 */
static inline uint64_t umcg_level_end(uint64_t quantum_ns, uint64_t level)
{
	return quantum_ns * ((2ULL << level) - 1);
}

/* The level of a thread with so much service; it stays on the last. */
static inline uint64_t umcg_level_of(uint64_t quantum_ns, uint64_t levels, uint64_t service_ns)
{
	uint64_t level = 0;

	while (level + 1 < levels && service_ns >= umcg_level_end(quantum_ns, level))
		level++;
	return level;
}

/* The next of 2^64 numbers that follow from the run's seed (splitmix64). */
static inline uint64_t umcg_random(struct umcg_sched *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/*
 * @t will not be served in time, or is refused. It runs all the same, when next()
 * returns it, and is told: a program gives the request up, in the simulator the
 * request has ended.
 */
static inline void umcg_drop(struct umcg_sched_thread *t)
{
	t->flags |= UMCG_THREAD_DROPPED;
}

/*
 * Server @server is to look again; UMCG_KICK_ what to do. Not needed after
 * ready(): then the host wakes a server that sleeps, if there is one (that which
 * had the thread last, else the first), or asks before().
 */
static inline void umcg_kick(struct umcg_sched *s, uint32_t server, uint32_t how)
{
	s->host->kick(s, server, how);
}

/*
 * Something is wrong: in init() with the options, later with the policy itself.
 * The scheduler reports it, and goes on without this policy if it can.
 */
#define umcg_error(s, ...)	((s)->host->error((s), __VA_ARGS__))

/* In dump(): printf() to where the report goes. */
#define umcg_print(s, ...)	((s)->host->print((s), __VA_ARGS__))

#ifdef __cplusplus
}
#endif

#endif /* UMCG_POLICY_H */
