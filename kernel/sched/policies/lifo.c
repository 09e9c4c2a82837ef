// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lifo: last come, first served. The thread that has just become ready goes first,
 * as what it needs is still in the caches; one that runs does so until it blocks.
 *
 * Good for pools of equal workers that wait for requests: few of them do all the
 * work, the others' stacks stay cold. Fails for those at the bottom: under steady
 * load they may wait for ever.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct lifo {
	struct umcg_list stack;
};

struct lifo_thread {
	struct umcg_link link;
};

static void lifo_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct lifo *lifo = umcg_sched_data(s);
	struct lifo_thread *mine = umcg_thread_data(t);

	/* A thread that yields wants others to go first. */
	if (why == UMCG_WHY_YIELDED)
		umcg_list_put(&lifo->stack, &mine->link);
	else
		umcg_list_put_first(&lifo->stack, &mine->link);
}

static struct umcg_sched_thread *lifo_next(struct umcg_sched *s, uint32_t server)
{
	struct lifo *lifo = umcg_sched_data(s);

	(void)server;
	return umcg_thread_of(umcg_list_get(&lifo->stack));
}

static void lifo_dump(struct umcg_sched *s)
{
	struct lifo *lifo = umcg_sched_data(s);

	umcg_list_print(s, "stack", &lifo->stack);
}

UMCG_POLICY(lifo,
	.summary = "last come, first served, warm caches for pools of equal workers; "
		   "those at the bottom may wait for ever",
	.flags = UMCG_MAY_STARVE | UMCG_MAY_PASS_ON,
	.sched_size = sizeof(struct lifo),
	.thread_size = sizeof(struct lifo_thread),
	.ready = lifo_ready,
	.next = lifo_next,
	.dump = lifo_dump
);
