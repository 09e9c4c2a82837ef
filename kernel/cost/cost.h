/* SPDX-License-Identifier: MIT */
/*
 * What the cost programs share. A row measures one kind of hand-off: it is run
 * in a process of its own, calls lap() once a round trip and never returns.
 */
#ifndef COST_H
#define COST_H

#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/umcg.h>

typedef void *thread_fn(void *arg);

/* Once a round trip, from one thread; ends the process after the last. */
void lap(void);
void die(const char *what) __attribute__((noreturn));
void spawn(thread_fn *fn, void *arg, int cpu);
void pin(int cpu);

/* base.c: kernel primitives that need no UMCG */
void row_getppid(void);
void row_fault(void);
void row_yield(void);
void row_futex(void);
void row_condvar(void);
void row_pipe(void);
void row_eventfd(void);

/* umcg.c */
void row_swap(void);
void row_wake_wait(void);
void row_run_yield(void);
void row_worker_swap(void);
void row_worker_pipe(void);

/* task.c: the smallest server and workers that keep the contract */
struct task {
	struct umcg_task record;
	pid_t tid;
	struct task *server;	/* worker: whose place it has */
};

long umcg_ctl(uint32_t flags, struct umcg_task *self);
long umcg_wait(uint32_t flags, uint64_t timeout);
long umcg_kick(uint32_t flags, pid_t tid);

void set_state(struct task *t, uint64_t from, uint64_t to);
void be_server(struct task *t);
void be_worker(struct task *t);
struct task *next_worker(struct task *server);
void run_worker(struct task *server, struct task *worker);
void yield(struct task *worker);

#endif
