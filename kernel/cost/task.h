/* SPDX-License-Identifier: MIT */
/* The raw system calls, and the smallest server and workers that keep the contract. */
#ifndef TASK_H
#define TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/umcg.h>

struct task {
	_Alignas(64) struct umcg_task record;
	pid_t tid;
	struct task *server;	/* worker: whose place it has */
};

/* What the servers permit: 0 or UMCG_TF_ADOPT, perhaps with UMCG_TF_RANK. */
extern uint64_t permission;
#define LENDS	(UMCG_TASK_IDLE | permission)
#define SLEEPS	(LENDS | (permission ? UMCG_TF_FREE : 0))

long umcg_ctl(uint32_t flags, struct umcg_task *self);
long umcg_wait(uint32_t flags, uint64_t timeout);
long umcg_kick(uint32_t flags, pid_t tid);

void set_state(struct task *t, uint64_t from, uint64_t to);
void be_server(struct task *t);
void be_worker(struct task *t);
struct task *next_worker(struct task *server);
struct task *try_worker(void);
void push_worker(struct task *worker);
bool mark_preempted(struct task *t);
bool is_preempted(struct task *t);
void run_worker(struct task *server, struct task *worker);
void yield(struct task *worker);

#endif
