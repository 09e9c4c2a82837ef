// SPDX-License-Identifier: MIT
/*
 * Threads that user space keeps inside the kernel's loops: one record registered
 * twice, so that the kernel itself makes the worker RUNNING again whenever it has
 * made it IDLE, and words that another thread changes all the time. Under every
 * preemption model others on the CPU get their share, the group's quota holds, and
 * SIGKILL ends it.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libgroup.h"
#include "libraw.h"

#define QUOTA_PERCENT	20
#define WINDOW		(2 * NS_PER_S)

struct shared {
	volatile unsigned long turns;		/* of the neighbour */
	volatile pid_t	victim;			/* the thread in the loop */
	volatile bool	begun;
	volatile bool	refused;		/* the kernel does not let it begin */
};

static struct shared *sh;
static struct umcg_task rec, other, me;
static uint64_t head;
static uint32_t slot;
static volatile pid_t server_tid;

static void *takes_turns(void *arg)
{
	(void)arg;
	for (;;) {
		sh->turns++;
		nap(NS_PER_MS);
	}
	return NULL;
}

static void *serves(void *arg)
{
	rec_init(arg, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, arg), 0);
	server_tid = gettid();
	for (;;)
		pause();
	return NULL;
}

static void *works(void *arg)
{
	(void)arg;
	sh->victim = gettid();
	if (sys_ctl(REGISTER | WORKER, &rec) == -EINVAL)
		sh->refused = true;
	for (;;)
		pause();
	return NULL;
}

/* A worker in its registration, IDLE and on its list. */
static void start_worker(void)
{
	rec_init(&rec, BLOCKED);
	rec.idle_workers_ptr = (uint64_t)&head;
	rec.idle_server_tid_ptr = (uint64_t)&slot;
	pin_thread(spawn(works, NULL), cpus() - 1);
	WAIT_FOR(sh->refused || (state_of(&rec) == IDLE && head == (uint64_t)&rec.idle_workers_ptr));
}

static void wake_worker(void)
{
	me.next_tid = sh->victim;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
}

/* RUNNING|PREEMPTED: the worker becomes IDLE, its server RUNNING, which is the same word. */
static void one_record_twice(void)
{
	basic_register(&me);
	spawn(serves, &rec);
	WAIT_FOR(server_tid);
	start_worker();
	if (sh->refused)
		return;
	rec.next_tid = server_tid;
	state_set(&rec, IDLE, RUNNING | PREEMPTED);
	sh->begun = true;
	wake_worker();
}

/* RUNNING without a server: back on the list, and RUNNING again. */
static void *flips_state(void *arg)
{
	(void)arg;
	pin(0, 0);
	for (;;) {
		if (__atomic_load_n(&rec.idle_workers_ptr, __ATOMIC_SEQ_CST) == UMCG_IDLE_NODE_PENDING)
			continue;
		__atomic_store_n(&rec.idle_workers_ptr, (uint64_t)&head, __ATOMIC_SEQ_CST);
		state_cas(&rec, IDLE, RUNNING);
	}
	return NULL;
}

/* Locked and not, marked and not, one server and the other. */
static void *flips_all(void *arg)
{
	uint32_t seed = (uintptr_t)arg;

	pin(0, 0);
	for (;;) {
		static const uint32_t states[] = { RUNNING, RUNNING | LOCKED, RUNNING | PREEMPTED,
						   RUNNING | (1 << 13) };

		__atomic_store_n(&rec.idle_workers_ptr, (uint64_t)&head, __ATOMIC_SEQ_CST);
		__atomic_store_n(&slot, raw_random(&seed) % 2 ? server_tid : 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&rec.next_tid, raw_random(&seed) % 2 ? server_tid : 0,
				 __ATOMIC_SEQ_CST);
		rec.state_ts += (1 << 18) + states[raw_random(&seed) % 4] -
				(rec.state_ts & UMCG_TASK_STATE_MASK_FULL);
		state_cas(&other, RUNNING, IDLE);
	}
	return NULL;
}

static void *wakes(void *arg)
{
	static struct umcg_task waker;

	(void)arg;
	pin(0, 0);
	basic_register(&waker);
	waker.next_tid = sh->victim;
	for (;;) {
		sys_wait(WAKE_ONLY, 0);
		sys_kick(0, sh->victim);
		nap(2 * NS_PER_MS);
	}
	return NULL;
}

static void flip(void *(*fn)(void *))
{
	basic_register(&me);
	spawn(serves, &other);
	WAIT_FOR(server_tid);
	start_worker();
	sh->begun = true;
	spawn(fn, (void *)1);
	spawn(wakes, NULL);
	rec.next_tid = 0;
	wake_worker();
}

static void flipped_state(void)
{
	flip(flips_state);
}

static void flipped_words(void)
{
	flip(flips_all);
}

static void attacks(void *arg)
{
	group_enter();
	CHECK_EQ(setresgid(65534, 65534, 65534), 0);
	CHECK_EQ(setresuid(65534, 65534, 65534), 0);
	(*(void (**)(void))arg)();
	for (;;)
		pause();
}

static void check_harmless(const char *what, void (*attack)(void))
{
	unsigned long turns;
	pid_t pid;

	raw_note(what);
	memset((void *)sh, 0, sizeof(*sh));
	pid = child_start(attacks, &attack);
	WAIT_FOR(sh->begun || sh->refused);
	if (!sh->refused) {
		turns = sh->turns;
		group_check_quota(WINDOW);
		turns = sh->turns - turns;
		printf("    %lu turns of the neighbour\n", turns);
		fflush(stdout);
		if (turns < 30)
			FAIL("the neighbour starves");
	}
	kill(pid, SIGKILL);
	child_wait(pid);
}

int main(void)
{
	raw_start();
	if (getuid())
		raw_skip("needs root, to mount cgroup2");
	group_make(QUOTA_PERCENT);
	sh = map_pages(1, MAP_SHARED);
	pin_thread(spawn(takes_turns, NULL), cpus() - 1);
	check_harmless("one record registered twice", one_record_twice);
	check_harmless("a state that another thread flips", flipped_state);
	check_harmless("all words that another thread flips", flipped_words);
	group_remove();
	return 0;
}
