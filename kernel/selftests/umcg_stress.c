// SPDX-License-Identifier: MIT
/*
 * All kinds of transitions at once, TRANSITIONS of them (first argument), on
 * every CPU. It ends only if no wake-up is lost; at the end the counts of what
 * was given and what was taken have to agree.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "libraw.h"

#define WORKERS		16
#define MAX_SERVERS	4
#define TOKENS		5

static struct pool pool;
static struct server servers[MAX_SERVERS];
static struct worker w[WORKERS];
static struct worker *parked[WORKERS];
static bool stop;
static int ring[2];			/* a pipe of tokens: workers block on it */
static int nr_servers;

/* What has been done; each counter has many writers. */
static struct {
	unsigned long yield, swap, nap, token, timeout, park, unpark, mark, basic;
} n;

#define COUNT(what)	__atomic_add_fetch(&n.what, 1, __ATOMIC_RELAXED)

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void one_step(struct worker *self, uint32_t *seed)
{
	uint64_t soon;
	char c;

	switch (raw_random(seed) % 16) {
	case 0 ... 3:
		worker_yield(self);
		COUNT(yield);
		break;
	case 4 ... 7:
		if (worker_swap_next(self))
			COUNT(swap);
		break;
	case 8:
		nap(raw_random(seed) % 50000);
		COUNT(nap);
		break;
	case 9 ... 11:
		CHECK_EQ(read(ring[0], &c, 1), 1);
		if (raw_random(seed) % 4 == 0)
			worker_yield(self);
		CHECK_EQ(write(ring[1], &c, 1), 1);
		COUNT(token);
		break;
	case 12:
		soon = now_ns(CLOCK_MONOTONIC) + raw_random(seed) % 100000;
		CHECK_EQ(worker_park(self, NULL, soon), -ETIMEDOUT);
		COUNT(timeout);
		break;
	case 13:
		COUNT(park);
		CHECK_EQ(worker_park(self, &parked[self - w], 0), 0);
		break;
	default:
		for (volatile int i = raw_random(seed) % 2000; i; i--)
			;
	}
}

static void works(struct worker *self)
{
	uint32_t seed = self->tid;

	while (!stopping()) {
		one_step(self, &seed);
		CHECK_EQ(state_of(&self->rec) & ~PREEMPTED, RUNNING);
		self->count++;
	}
}

static void *serves(void *arg)
{
	server_register(arg, &pool);
	server_loop(arg);
	server_unregister(arg);
	return NULL;
}

static void on_usr1(int sig)
{
	(void)sig;
}

/* Preempts, by kick and by signal, and wakes those that are parked. */
static void *watchdog(void *arg)
{
	struct umcg_task own;
	uint32_t seed = 1;

	(void)arg;
	basic_register(&own);
	while (__atomic_load_n(&pool.live, __ATOMIC_SEQ_CST)) {
		struct worker *v = &w[raw_random(&seed) % WORKERS], *p;

		if (worker_mark(v)) {
			COUNT(mark);
			if (raw_random(&seed) % 8)
				sys_kick(0, v->tid);
			else
				syscall(SYS_tgkill, getpid(), v->tid, SIGUSR1);
		}
		for (int i = 0; i < WORKERS; i++) {
			p = __atomic_exchange_n(&parked[i], NULL, __ATOMIC_SEQ_CST);
			if (p) {
				worker_unpark(&own, p);
				COUNT(unpark);
			}
		}
		usleep(raw_random(&seed) % 100);
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

/* Two basic tasks beside it all. */
static struct { struct umcg_task rec; volatile pid_t tid; } pair[2];

static void *switches(void *arg)
{
	long me = (long)arg;

	basic_register(&pair[me].rec);
	if (me) {
		state_set(&pair[1].rec, RUNNING, IDLE);
		pair[1].tid = gettid();
		basic_wait(&pair[1].rec);
	} else {
		pair[0].tid = gettid();
		WAIT_FOR(pair[1].tid);
	}
	/* The first ends the game; the second is then woken for the last time. */
	while (me ? !stopping() || state_of(&pair[0].rec) == IDLE : !stopping()) {
		basic_switch(&pair[me].rec, &pair[!me].rec, pair[!me].tid);
		COUNT(basic);
	}
	if (!me)
		basic_wake(&pair[0].rec, &pair[1].rec, pair[1].tid);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

/* Of the workers and servers; the two basic tasks would outnumber them. */
static unsigned long total(void)
{
	unsigned long sum = n.swap + n.timeout + n.park + n.unpark;

	/* Each run has its end: block, yield or preemption; a block has its wake. */
	for (int i = 0; i < nr_servers; i++)
		sum += 3 * servers[i].blocks + 2 * servers[i].yields + 2 * servers[i].preempts;
	return sum;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	unsigned long goal, blocks = 0, preempts = 0, ends = 0, tokens = 0;
	pthread_t t[MAX_SERVERS + 3];
	char c;

	raw_start();
	goal = raw_number(argc, argv, "TRANSITIONS", 200000);
	sigaction(SIGUSR1, &sa, NULL);
	CHECK_EQ(pipe(ring), 0);
	for (int i = 0; i < TOKENS; i++)
		CHECK_EQ(write(ring[1], "x", 1), 1);
	nr_servers = cpus() < MAX_SERVERS ? cpus() : MAX_SERVERS;
	for (int i = 0; i < WORKERS; i++)
		worker_start(&w[i], &pool, works, NULL);
	for (int i = 0; i < nr_servers; i++) {
		t[i] = spawn(serves, &servers[i]);
		WAIT_FOR(pool.servers[i]);
	}
	t[nr_servers] = spawn(watchdog, NULL);
	for (long i = 0; i < 2; i++)
		t[nr_servers + 1 + i] = spawn(switches, (void *)i);
	while (total() < goal)
		usleep(5000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < nr_servers + 3; i++)
		join(t[i]);
	for (int i = 0; i < WORKERS; i++)
		worker_join(&w[i]);
	for (int i = 0; i < nr_servers; i++) {
		blocks += servers[i].blocks;
		preempts += servers[i].preempts;
		ends += servers[i].ends;
	}
	printf("  %lu transitions: %lu blocks, %lu yields, %lu swaps, %lu preemptions, "
	       "%lu timeouts, %lu parked, %lu tokens passed; beside them %lu basic switches\n", total(),
	       blocks, n.yield, n.swap, preempts, n.timeout, n.park, n.token, n.basic);
	CHECK_EQ(ends, WORKERS);
	CHECK_EQ(n.park, n.unpark);
	CHECK_EQ(pool.head, 0);
	for (int i = 0; i < TOKENS; i++)
		tokens += read(ring[0], &c, 1);
	CHECK_EQ(tokens, TOKENS);
	CHECK(blocks && n.swap && preempts && n.timeout && n.park && n.basic);
	return 0;
}
