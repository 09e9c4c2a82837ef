// SPDX-License-Identifier: MIT
/* The baselines: what the same hand-off costs with other primitives. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "raw.h"

void row_getppid(void)
{
	for (;;) {
		syscall(SYS_getppid);
		lap();
	}
}

/* First touch of an anonymous page, 4 KiB each. */
void row_fault(void)
{
	size_t page = 4096, size = 1024 * page;
	volatile char *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	for (;;) {
		for (size_t i = 0; i < size; i += page) {
			at[i] = 1;
			lap();
		}
		if (madvise((void *)at, size, MADV_DONTNEED))
			die("madvise");
	}
}

/* sched_yield() does not always switch: the turn has passed when the other one has seen it. */
static _Atomic int yielders_turn;

static void yield_pass(int me)
{
	atomic_store(&yielders_turn, !me);
	while (atomic_load(&yielders_turn) != me)
		sched_yield();
}

static void *yield_peer(void *arg)
{
	(void)arg;
	while (atomic_load(&yielders_turn) != 1)
		sched_yield();
	for (;;)
		yield_pass(1);
	return NULL;
}

void row_yield(void)
{
	spawn(yield_peer, NULL, 0);
	for (;;) {
		yield_pass(0);
		lap();
	}
}

/* One word a thread: 1 says that it is its turn. */
static _Atomic uint32_t turn[2];

static void futex_pass(int me)
{
	atomic_store(&turn[!me], 1);
	syscall(SYS_futex, &turn[!me], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	while (!atomic_load(&turn[me]))
		syscall(SYS_futex, &turn[me], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store(&turn[me], 0);
}

static void *futex_peer(void *arg)
{
	(void)arg;
	while (!atomic_load(&turn[1]))
		syscall(SYS_futex, &turn[1], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store(&turn[1], 0);
	for (;;)
		futex_pass(1);
	return NULL;
}

void row_futex(void)
{
	spawn(futex_peer, NULL, 0);
	for (;;) {
		futex_pass(0);
		lap();
	}
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond[2] = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER };
static int whose;

static void condvar_pass(int me)
{
	pthread_mutex_lock(&mutex);
	whose = !me;
	pthread_cond_signal(&cond[!me]);
	while (whose != me)
		pthread_cond_wait(&cond[me], &mutex);
	pthread_mutex_unlock(&mutex);
}

static void *condvar_peer(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mutex);
	while (whose != 1)
		pthread_cond_wait(&cond[1], &mutex);
	pthread_mutex_unlock(&mutex);
	for (;;)
		condvar_pass(1);
	return NULL;
}

void row_condvar(void)
{
	spawn(condvar_peer, NULL, 0);
	for (;;) {
		condvar_pass(0);
		lap();
	}
}

/* Reads and writes 8 bytes, which suits pipes and eventfds alike. */
struct ends {
	int in, out;
};

static void move(struct ends *e)
{
	uint64_t value;

	if (read(e->in, &value, sizeof(value)) != sizeof(value) ||
	    write(e->out, &value, sizeof(value)) != sizeof(value))
		die("read or write");
}

static void *mover(void *arg)
{
	for (;;)
		move(arg);
	return NULL;
}

static void ping_pong(int in, int out, int peer_in, int peer_out)
{
	static struct ends mine, peer;
	uint64_t one = 1;

	mine = (struct ends){ in, out };
	peer = (struct ends){ peer_in, peer_out };
	spawn(mover, &peer, 0);
	if (write(out, &one, sizeof(one)) != sizeof(one))
		die("write");
	for (;;) {
		move(&mine);
		lap();
	}
}

void row_pipe(void)
{
	int there[2], back[2];

	if (pipe(there) || pipe(back))
		die("pipe");
	ping_pong(back[0], there[1], there[0], back[1]);
}

void row_eventfd(void)
{
	int there = eventfd(0, 0), back = eventfd(0, 0);

	if (there < 0 || back < 0)
		die("eventfd");
	ping_pong(back, there, there, back);
}
