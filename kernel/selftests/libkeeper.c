// SPDX-License-Identifier: MIT
/* Tasks that keep the contract, and threads that only want their share of each CPU. */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libfault.h"
#include "libkeeper.h"

#define SERVERS	2
#define WORKERS	6
#define PAGE	4096
#define MARK	(1U << 17)		/* a bit of user space's own */

static struct keeper *k;
static struct pool pool;
static struct slow_page slow;
static struct server *servers;		/* on the slow page */
static struct worker w[WORKERS];

static void on_usr1(int sig)
{
	(void)sig;
}

/* Blocks and runs; what changes its server's record is the kernel alone. */
static void works(struct worker *self)
{
	uint32_t seed = self->tid;

	while (!k->stop) {
		nap(raw_random(&seed) % 200000);
		for (volatile int i = raw_random(&seed) % 3000; i; i--)
			;
	}
	__atomic_sub_fetch(&pool.live, 1, __ATOMIC_SEQ_CST);
}

/* Until the place is free again, and then it is; whatever interrupts. */
static void run(struct server *s, struct worker *w)
{
	int r;

	server_start_run(s, w);
	while ((r = sys_wait(0, 0))) {
		CHECK_EQ(r, -EINTR);
		s->rec.next_tid = 0;
		state_cas(&s->rec, IDLE, IDLE | MARK);
	}
	s->rec.next_tid = 0;
	state_cas(&s->rec, RUNNING | MARK, RUNNING);
	CHECK_STATE(&s->rec, RUNNING);
	__atomic_add_fetch(&k->runs, 1, __ATOMIC_RELAXED);
}

/* No task wakes it, as it has told no task. */
static void wait_for_nothing(struct server *s, uint32_t *seed)
{
	uint64_t until = now_ns(CLOCK_MONOTONIC) + raw_random(seed) % (2 * NS_PER_MS);
	int r;

	state_set(&s->rec, RUNNING, IDLE);
	while ((r = sys_wait(MONOTONIC, until)) == -EINTR)
		;
	if (r != -ETIMEDOUT)
		FAIL("a server's wait returned %d, though no task has woken it", r);
	state_set(&s->rec, IDLE, RUNNING);
	__atomic_add_fetch(&k->waits, 1, __ATOMIC_RELAXED);
}

static void *serves(void *arg)
{
	struct server *s = arg;
	uint32_t seed = gettid();
	struct worker *next;

	server_register(s, &pool);
	while ((next = server_next(s))) {
		/* It may have been interrupted while a worker was about to wake it. */
		if (raw_random(&seed) % 4 == 0)
			wait_for_nothing(s, &seed);
		run(s, next);
		if (raw_random(&seed) % 4 == 0)
			wait_for_nothing(s, &seed);
	}
	server_loop(s);		/* wakes the other one */
	server_unregister(s);
	return NULL;
}

static void interrupt(struct server *s)
{
	syscall(SYS_tgkill, getpid(), s->tid, SIGUSR1);
}

/*
 * The task that writes to a server's record just now has to wait, while others that come
 * later need not: a transition that is held up between two of its steps. Meanwhile
 * the servers wake up by themselves and go on.
 */
static void *holds_up(void *arg)
{
	uint32_t seed = 1;

	(void)arg;
	while (!k->stop) {
		struct pollfd pfd = { .fd = slow.fd, .events = POLLIN };
		bool held;

		slow_page_protect(&slow);
		/* The fault is not read: it is gone when its thread goes on, or is interrupted. */
		held = poll(&pfd, 1, 1 + raw_random(&seed) % 3) == 1;
		slow_page_open(&slow);
		if (held) {
			for (int i = 0; i < SERVERS; i++)
				interrupt(&servers[i]);
			nap(raw_random(&seed) % (4 * NS_PER_MS));
		}
		slow_page_resume(&slow);
		nap(raw_random(&seed) % (2 * NS_PER_MS));
	}
	return NULL;
}

void keeper(void *shared_keeper)
{
	struct sigaction sa = { .sa_handler = on_usr1 };	/* no SA_RESTART */
	pthread_t t[SERVERS + 1];
	uint32_t seed = 2;

	k = shared_keeper;
	CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	slow_written_page(&slow);
	servers = (struct server *)(slow.page + PAGE);
	for (int i = 0; i < WORKERS; i++)
		worker_start(&w[i], &pool, works, NULL);
	for (int i = 0; i < SERVERS; i++)
		t[i] = spawn(serves, &servers[i]);
	t[SERVERS] = spawn(holds_up, NULL);
	while (!k->stop) {
		nap(raw_random(&seed) % (3 * NS_PER_MS));
		interrupt(&servers[raw_random(&seed) % SERVERS]);
		if (raw_random(&seed) % 8 == 0) {
			pid_t pid = fork();

			if (!pid)
				_exit(0);
			CHECK_EQ(child_wait(pid), 0);
		}
	}
	for (int i = 0; i <= SERVERS; i++)
		join(t[i]);
	for (int i = 0; i < WORKERS; i++)
		worker_join(&w[i]);
	slow_page_free(&slow);
}

/* --- tickers --- */

#define MOST_CPUS	64

static volatile unsigned long turns[MOST_CPUS];

static void *ticks(void *arg)
{
	volatile unsigned long *mine = arg;

	for (;;) {
		++*mine;
		nap(NS_PER_MS);
	}
	return NULL;
}

void tickers_start(void)
{
	for (int i = 0; i < cpus() && i < MOST_CPUS; i++)
		pin_thread(spawn(ticks, (void *)&turns[i]), i);
}

int tickers_stuck(void)
{
	static unsigned long before[MOST_CPUS];
	int stuck = -1;

	for (int i = 0; i < cpus() && i < MOST_CPUS; i++) {
		if (turns[i] == before[i])
			stuck = i;
		before[i] = turns[i];
	}
	return stuck;
}
