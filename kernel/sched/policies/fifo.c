// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * fifo: first come, first served. A thread that becomes ready waits behind those
 * that were ready before; one that runs does so until it blocks.
 *
 * Good for work in small pieces of about the same size: no thread is preempted, so
 * nothing is cheaper. Fails where sizes differ: one that computes for a second
 * keeps all behind it waiting for a second (the convoy), and one that never
 * blocks keeps its server for ever.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct fifo {
	struct umcg_list queue;
};

struct fifo_thread {
	struct umcg_link link;
};

static void fifo_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct fifo *fifo = umcg_sched_data(s);
	struct fifo_thread *mine = umcg_thread_data(t);

	/* A thread that another has preempted came before all that wait. */
	if (why == UMCG_WHY_PREEMPTED)
		umcg_list_put_first(&fifo->queue, &mine->link);
	else
		umcg_list_put(&fifo->queue, &mine->link);
}

static struct umcg_sched_thread *fifo_next(struct umcg_sched *s, uint32_t server)
{
	struct fifo *fifo = umcg_sched_data(s);

	(void)server;
	return umcg_thread_of(umcg_list_get(&fifo->queue));
}

static void fifo_dump(struct umcg_sched *s)
{
	struct fifo *fifo = umcg_sched_data(s);

	umcg_list_print(s, "queue", &fifo->queue);
}

UMCG_POLICY(fifo,
	.summary = "first come, first served; cheap and fair for small equal pieces, "
		   "but one long piece keeps all behind it waiting",
	.flags = UMCG_MAY_PASS_ON,
	.sched_size = sizeof(struct fifo),
	.thread_size = sizeof(struct fifo_thread),
	.ready = fifo_ready,
	.next = fifo_next,
	.dump = fifo_dump
);
