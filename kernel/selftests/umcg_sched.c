// SPDX-License-Identifier: MIT
/*
 * Hand-offs between tasks of every scheduling policy: each order must arrive,
 * on one CPU and across CPUs.
 */
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "libraw.h"

#define ROUNDS	100

/* As in linux/sched/types.h, which libc's sched.h cannot stand beside it. */
struct attr {
	uint32_t	size;
	uint32_t	sched_policy;
	uint64_t	sched_flags;
	int32_t		sched_nice;
	uint32_t	sched_priority;
	uint64_t	sched_runtime;
	uint64_t	sched_deadline;
	uint64_t	sched_period;
};

static const struct policy {
	const char *name;
	struct attr attr;
} policies[] = {
	{ "other", { .sched_policy = SCHED_OTHER } },
	{ "nice 19", { .sched_policy = SCHED_OTHER, .sched_nice = 19 } },
	{ "nice -20", { .sched_policy = SCHED_OTHER, .sched_nice = -20 } },
	{ "batch", { .sched_policy = SCHED_BATCH } },
	{ "idle", { .sched_policy = SCHED_IDLE } },
	{ "fifo", { .sched_policy = SCHED_FIFO, .sched_priority = 10 } },
	{ "fifo 20", { .sched_policy = SCHED_FIFO, .sched_priority = 20 } },
	{ "rr", { .sched_policy = SCHED_RR, .sched_priority = 10 } },
	{ "deadline", { .sched_policy = 6 /* SCHED_DEADLINE */, .sched_runtime = 2000000,
			.sched_deadline = 10000000, .sched_period = 10000000 } },
};

#define POLICIES	(sizeof(policies) / sizeof(*policies))

static void set_policy(pid_t tid, const struct policy *p)
{
	struct attr attr = p->attr;

	attr.size = sizeof(attr);
	/* EBUSY: deadline tasks that have ended give their bandwidth back a little later. */
	while (syscall(SYS_sched_setattr, tid, &attr, 0)) {
		if (errno != EBUSY)
			FAIL("policy %s: %s", p->name, strerror(errno));
		nap(NS_PER_MS);
	}
}

static struct pool pool;
static struct server s;
static struct worker w;
static const struct policy *server_policy;
static int mode;

static void steps(struct worker *self)
{
	for (; self->count < ROUNDS; self->count++) {
		worker_yield(self);
		if (self->count % 10 == 0)
			nap(1000);
	}
}

static void *serves(void *arg)
{
	(void)arg;
	server_register(&s, &pool);
	if (mode < 2)
		pin(0, 0);
	set_policy(0, server_policy);
	server_loop(&s);
	server_unregister(&s);
	return NULL;
}

static struct umcg_task own, peer;
static volatile pid_t own_tid, peer_tid;

static void *other_side(void *arg)
{
	basic_register(&peer);
	state_set(&peer, RUNNING, IDLE);
	if (mode < 2)
		pin(0, mode);
	set_policy(0, arg);
	peer_tid = gettid();
	basic_wait(&peer);
	for (int i = 1; i < ROUNDS; i++)
		basic_switch(&peer, &own, own_tid);
	CHECK(basic_wake(&peer, &own, own_tid));
	return NULL;
}

static void *this_side(void *arg)
{
	basic_register(&own);
	if (mode < 2)
		pin(0, 0);
	set_policy(0, arg);
	own_tid = gettid();
	WAIT_FOR(peer_tid);
	for (int i = 0; i < ROUNDS; i++)
		basic_switch(&own, &peer, peer_tid);
	return NULL;
}

static void each_pair(void)
{
	for (size_t a = 0; a < POLICIES; a++) {
		for (size_t b = 0; b < POLICIES; b++) {
			pthread_t t[2];

			/* A deadline task may not be pinned. */
			if (mode < 2 && (!strcmp(policies[a].name, "deadline") ||
					 !strcmp(policies[b].name, "deadline")))
				continue;
			own_tid = peer_tid = 0;
			t[0] = spawn(other_side, (void *)&policies[b]);
			t[1] = spawn(this_side, (void *)&policies[a]);
			join(t[0]);
			join(t[1]);
			memset(&pool, 0, sizeof(pool));
			server_policy = &policies[a];
			worker_start(&w, &pool, steps, NULL);
			WAIT_FOR(state_of(&w.rec) == IDLE);
			if (mode < 2)
				pin(w.tid, mode);
			set_policy(w.tid, &policies[b]);
			t[0] = spawn(serves, NULL);
			join(t[0]);
			worker_join(&w);
			CHECK_EQ(w.count, ROUNDS);
		}
	}
}

int main(void)
{
	raw_start();
	if (getuid())
		raw_skip("needs root, for real-time policies");
	/* On one CPU, on two, and wherever the scheduler likes. */
	for (mode = 0; mode < 3; mode++)
		RUN(each_pair);
	return 0;
}
