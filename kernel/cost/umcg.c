// SPDX-License-Identifier: MIT
/* The hand-offs of UMCG. */
#include <pthread.h>
#include <sched.h>

#include "raw.h"
#include "task.h"

static struct task main_task, peer_task;

/* --- basic tasks --- */

static void swap_to(struct task *self, struct task *next)
{
	set_state(self, UMCG_TASK_RUNNING, UMCG_TASK_IDLE);
	set_state(next, UMCG_TASK_IDLE, UMCG_TASK_RUNNING);
	if (umcg_wait(0, 0))
		die("umcg_wait: swap");
}

static void wake_and_wait(struct task *self, struct task *next)
{
	set_state(self, UMCG_TASK_RUNNING, UMCG_TASK_IDLE);
	set_state(next, UMCG_TASK_IDLE, UMCG_TASK_RUNNING);
	self->record.next_tid = next->tid;
	if (umcg_wait(UMCG_WAIT_WAKE_ONLY, 0))
		die("umcg_wait: wake");
	self->record.next_tid = 0;
	if (umcg_wait(0, 0))
		die("umcg_wait: wait");
}

static void *basic_peer(void *arg)
{
	void (*pass)(struct task *, struct task *) = arg;

	be_server(&peer_task);
	peer_task.record.next_tid = 0;
	set_state(&peer_task, UMCG_TASK_RUNNING, UMCG_TASK_IDLE);
	if (umcg_wait(0, 0))
		die("umcg_wait: peer");
	peer_task.record.next_tid = main_task.tid;
	for (;;)
		pass(&peer_task, &main_task);
	return NULL;
}

static void basic(void (*pass)(struct task *, struct task *))
{
	be_server(&main_task);
	spawn(basic_peer, (void *)pass, 0);
	while ((__atomic_load_n(&peer_task.record.state_ts, __ATOMIC_ACQUIRE) &
		UMCG_TASK_STATE_MASK) != UMCG_TASK_IDLE)
		sched_yield();
	main_task.record.next_tid = peer_task.tid;
	for (;;) {
		pass(&main_task, &peer_task);
		lap();
	}
}

void row_swap(void)
{
	basic(swap_to);
}

void row_wake_wait(void)
{
	basic(wake_and_wait);
}

/* --- a server and one worker --- */

static void *yielding_worker(void *arg)
{
	be_worker(arg);
	for (;;)
		yield(arg);
	return NULL;
}

void row_run_yield(void)
{
	struct task *worker;

	be_server(&main_task);
	spawn(yielding_worker, &peer_task, 0);
	worker = next_worker(&main_task);
	for (;;) {
		run_worker(&main_task, worker);
		lap();
	}
}

/* --- two workers of one server, switching without it --- */

static struct task workers[2];

static void *swapping_worker(void *arg)
{
	struct task *self = arg;
	struct task *next = self == &workers[0] ? &workers[1] : &workers[0];

	be_worker(self);
	for (;;) {
		struct task *server = self->server;

		set_state(next, UMCG_TASK_IDLE, UMCG_TASK_RUNNING | UMCG_TF_LOCKED);
		set_state(self, UMCG_TASK_RUNNING, UMCG_TASK_IDLE | UMCG_TF_LOCKED);
		server->record.next_tid = next->tid;
		next->server = server;
		next->record.next_tid = server->tid;
		self->record.next_tid = next->tid;
		set_state(next, UMCG_TASK_RUNNING | UMCG_TF_LOCKED, UMCG_TASK_RUNNING);
		if (umcg_wait(0, 0))
			die("umcg_wait: worker swap");
		if (self == &workers[0])
			lap();
	}
	return NULL;
}

void row_worker_swap(void)
{
	struct task *first;

	be_server(&main_task);
	spawn(swapping_worker, &workers[0], 0);
	spawn(swapping_worker, &workers[1], 0);
	/* Both must be on the list before one of them switches to the other. */
	first = next_worker(&main_task);
	next_worker(&main_task);
	run_worker(&main_task, first);
	die("the server got its place back");
}

/* --- two workers over a pipe: a block and a wake detected each way --- */

static int there[2], back[2];

static void *pipe_worker(void *arg)
{
	struct task *self = arg;
	int first = self == &workers[0];
	int in = first ? back[0] : there[0], out = first ? there[1] : back[1];
	uint64_t value = 1;

	be_worker(self);
	if (first && write(out, &value, sizeof(value)) != sizeof(value))
		die("write");
	for (;;) {
		if (read(in, &value, sizeof(value)) != sizeof(value) ||
		    write(out, &value, sizeof(value)) != sizeof(value))
			die("read or write");
		if (first)
			lap();
	}
	return NULL;
}

void row_worker_pipe(void)
{
	if (pipe(there) || pipe(back))
		die("pipe");
	be_server(&main_task);
	spawn(pipe_worker, &workers[0], 0);
	spawn(pipe_worker, &workers[1], 0);
	for (;;)
		run_worker(&main_task, next_worker(&main_task));
}
