// SPDX-License-Identifier: MIT
/* The smallest server and workers that keep the contract; raw system calls, one group. */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "cost.h"
#include "task.h"

#define LINK(node)	((struct task *)((char *)(uintptr_t)(node) - \
			 offsetof(struct task, record.idle_workers_ptr)))
#define TICK		(UMCG_TASK_STATE_MASK_FULL + 1)

static uint64_t idle_workers;
static uint32_t idle_server;
static uint64_t taken;
uint64_t permission;

long umcg_ctl(uint32_t flags, struct umcg_task *self)
{
	return syscall(__NR_umcg_ctl, flags, self);
}

long umcg_wait(uint32_t flags, uint64_t timeout)
{
	return syscall(__NR_umcg_wait, flags, timeout);
}

long umcg_kick(uint32_t flags, pid_t tid)
{
	return syscall(__NR_umcg_kick, flags, tid);
}

/*
 * The party that starts a transition changes the state. The timestamp is moved
 * on by one unit instead of being read from the clock: what is counted here is
 * the kernel's part.
 */
void set_state(struct task *t, uint64_t from, uint64_t to)
{
	uint64_t old = __atomic_load_n(&t->record.state_ts, __ATOMIC_RELAXED);
	uint64_t new = ((old & ~UMCG_TASK_STATE_MASK_FULL) + TICK) | to;

	if ((old & UMCG_TASK_STATE_MASK_FULL) != from ||
	    !__atomic_compare_exchange_n(&t->record.state_ts, &old, new, 0,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		die("a task is not in the state it should be in");
}

void be_server(struct task *t)
{
	t->tid = gettid();
	t->record.state_ts = UMCG_TASK_RUNNING;
	t->record.idle_workers_ptr = (uintptr_t)&idle_workers;
	t->record.idle_server_tid_ptr = (uintptr_t)&idle_server;
	if (umcg_ctl(UMCG_CTL_REGISTER, &t->record))
		die("umcg_ctl: server");
}

/* Returns once a server runs the worker. */
void be_worker(struct task *t)
{
	t->tid = gettid();
	t->record.state_ts = UMCG_TASK_BLOCKED;
	t->record.idle_workers_ptr = (uintptr_t)&idle_workers;
	t->record.idle_server_tid_ptr = (uintptr_t)&idle_server;
	if (umcg_ctl(UMCG_CTL_REGISTER | UMCG_CTL_WORKER | UMCG_CTL_KEEP_PREEMPTED, &t->record))
		die("umcg_ctl: worker");
}

static struct task *take_worker(void)
{
	struct task *worker = LINK(taken);

	do {
		taken = __atomic_load_n(&worker->record.idle_workers_ptr, __ATOMIC_ACQUIRE);
	} while (taken == UMCG_IDLE_NODE_PENDING);
	worker->record.idle_workers_ptr = (uintptr_t)&idle_workers;
	return worker;
}

/* A worker of the list, or NULL. */
struct task *try_worker(void)
{
	if (!taken)
		taken = __atomic_exchange_n(&idle_workers, 0, __ATOMIC_SEQ_CST);
	return taken ? take_worker() : NULL;
}

/* Puts back on the list what was taken off it. */
void push_worker(struct task *worker)
{
	uint64_t *node = (uint64_t *)&worker->record.idle_workers_ptr;
	uint64_t head;

	__atomic_store_n(node, UMCG_IDLE_NODE_PENDING, __ATOMIC_SEQ_CST);
	head = __atomic_exchange_n(&idle_workers, (uintptr_t)node, __ATOMIC_SEQ_CST);
	__atomic_store_n(node, head, __ATOMIC_RELEASE);
}

/* Takes the whole list, keeps what it does not return for the next call. */
struct task *next_worker(struct task *server)
{
	while (!taken && !(taken = __atomic_exchange_n(&idle_workers, 0, __ATOMIC_SEQ_CST))) {
		/*
		 * No task to run. The slot is offered before the list is looked
		 * at again, so that a worker that misses the one is seen in the
		 * other; what takes the slot changes our state and wakes us.
		 */
		set_state(server, UMCG_TASK_RUNNING, SLEEPS);
		server->record.next_tid = 0;
		__atomic_store_n(&idle_server, server->tid, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&idle_workers, __ATOMIC_SEQ_CST) &&
		    __atomic_exchange_n(&idle_server, 0, __ATOMIC_SEQ_CST))
			set_state(server, SLEEPS, UMCG_TASK_RUNNING);
		else if (umcg_wait(0, 0))
			die("umcg_wait: idle server");
	}
	return take_worker();
}

/* Marks @t if it has a place. */
bool mark_preempted(struct task *t)
{
	uint64_t word = __atomic_load_n(&t->record.state_ts, __ATOMIC_SEQ_CST);

	return (word & UMCG_TASK_STATE_MASK_FULL) == UMCG_TASK_RUNNING &&
	       __atomic_compare_exchange_n(&t->record.state_ts, &word,
					   (word + TICK) | UMCG_TF_PREEMPTED, 0,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

bool is_preempted(struct task *t)
{
	return (__atomic_load_n(&t->record.state_ts, __ATOMIC_SEQ_CST) &
		UMCG_TASK_STATE_MASK_FULL) == (UMCG_TASK_IDLE | UMCG_TF_PREEMPTED);
}

/*
 * Returns when the worker has blocked, yielded or was preempted, or another one that
 * had the place after it. What has been taken off the list and not been run would be
 * forgotten if the place passed on, so that is permitted only with nothing left.
 */
void run_worker(struct task *server, struct task *worker)
{
	uint64_t state = worker->record.state_ts & UMCG_TASK_STATE_MASK_FULL;
	uint64_t lends = taken ? UMCG_TASK_IDLE : LENDS;

	set_state(server, UMCG_TASK_RUNNING, lends);
	set_state(worker, state, UMCG_TASK_RUNNING | UMCG_TF_LOCKED);
	worker->record.next_tid = server->tid;
	worker->server = server;
	server->record.next_tid = worker->tid;
	server->record.tenant_tid = worker->tid;
	set_state(worker, UMCG_TASK_RUNNING | UMCG_TF_LOCKED, UMCG_TASK_RUNNING);
	if (umcg_wait(0, 0))
		die("umcg_wait: run");
}

void yield(struct task *worker)
{
	set_state(worker, UMCG_TASK_RUNNING, UMCG_TASK_IDLE | UMCG_TF_LOCKED);
	set_state(worker->server, UMCG_TASK_IDLE, UMCG_TASK_RUNNING);
	if (umcg_wait(0, 0))
		die("umcg_wait: yield");
}
