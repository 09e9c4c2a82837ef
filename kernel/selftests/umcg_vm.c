// SPDX-License-Identifier: MIT
/*
 * Two processes that share all of their memory (clone() with CLONE_VM) are two
 * processes: a worker of the one has no server in the other, so its end cannot
 * leave a server waiting for ever. Servers of both may wake each other.
 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct umcg_task rec, peer;
static volatile pid_t tid;
static volatile bool go;
static volatile int result = -1;

/* The child shares the thread area of its parent: no C library here. */
static long raw(long nr, long a, long b)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return r;
}

static int worker(void *arg)
{
	(void)arg;
	tid = raw(SYS_gettid, 0, 0);
	raw(__NR_umcg_ctl, REGISTER | WORKER, (long)&rec);
	raw(SYS_exit_group, 3, 0);
	return 0;
}

static int server(void *arg)
{
	(void)arg;
	raw(__NR_umcg_ctl, REGISTER, (long)&peer);
	peer.state_ts = (peer.state_ts & ~(uint64_t)UMCG_TASK_STATE_MASK) + (1 << 18) + IDLE;
	tid = raw(SYS_gettid, 0, 0);
	result = raw(__NR_umcg_wait, 0, 0);
	raw(SYS_exit_group, 0, 0);
	return 0;
}

static pid_t start(int (*fn)(void *arg))
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	pid_t pid;

	tid = 0;
	pid = clone(fn, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
	CHECK(pid > 0);
	WAIT_FOR(tid);
	return pid;
}

static void foreign_worker(void)
{
	pid_t pid;

	rec_init(&rec, BLOCKED);
	rec.idle_workers_ptr = (uint64_t)&pool.head;
	rec.idle_server_tid_ptr = (uint64_t)&pool.idle_server;
	pid = start(worker);
	WAIT_FOR(pool.head && state_of(&rec) == IDLE);
	/* It may not be woken, and its name is no reason to sleep. */
	s.rec.next_tid = tid;
	state_set(&s.rec, RUNNING, IDLE);
	rec.next_tid = s.tid;
	state_set(&rec, IDLE, RUNNING);
	CHECK_EQ(sys_wait(0, 0), -EPERM);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -EPERM);
	state_set(&rec, RUNNING, RUNNING | PREEMPTED);
	CHECK_EQ(sys_kick(0, tid), -EPERM);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(child_wait(pid), SIGKILL);
	CHECK_STATE(&s.rec, IDLE);
	state_set(&s.rec, IDLE, RUNNING);
	s.rec.next_tid = 0;
	pool.head = 0;
}

/* Its worker finds a server that is none of its own in the slot: no task to wake. */
static void foreign_slot(void)
{
	pid_t pid;

	pool.idle_server = s.tid;
	state_set(&s.rec, RUNNING, IDLE | FREE);
	rec_init(&rec, BLOCKED);
	rec.idle_workers_ptr = (uint64_t)&pool.head;
	rec.idle_server_tid_ptr = (uint64_t)&pool.idle_server;
	pid = start(worker);
	WAIT_FOR(pool.head && !pool.idle_server);
	usleep(5000);
	CHECK_STATE(&s.rec, IDLE | FREE);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(child_wait(pid), SIGKILL);
	state_set(&s.rec, IDLE | FREE, RUNNING);
	pool.head = 0;
}

static void foreign_server(void)
{
	pid_t pid;

	rec_init(&peer, RUNNING);
	pid = start(server);
	usleep(5000);
	CHECK(basic_wake(&s.rec, &peer, tid));
	CHECK_EQ(child_wait(pid), 0);
	CHECK_EQ(result, 0);
}

int main(void)
{
	raw_start();
	server_register(&s, &pool);
	RUN(foreign_worker);
	RUN(foreign_slot);
	RUN(foreign_server);
	server_unregister(&s);
	return 0;
}
