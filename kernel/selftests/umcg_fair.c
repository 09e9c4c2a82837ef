// SPDX-License-Identifier: MIT
/*
 * A pair that hands one CPU to and fro is, to the scheduler, one runnable task:
 * beside an ordinary hog on the same CPU neither may starve. Shares of CPU time
 * as the scheduler counts it, so that a busy machine makes no difference; the
 * bounds are loose (an even split is 0.5, three equal tasks would have 0.33 each).
 */
#include "libraw.h"

#define WINDOW	(1500 * NS_PER_MS)

static volatile bool stop;
static volatile pid_t hog_tid;

static void *hog(void *arg)
{
	(void)arg;
	pin(0, 0);
	hog_tid = gettid();
	while (!stop)
		;
	return NULL;
}

static struct umcg_task a, b;
static volatile pid_t a_tid, b_tid;

/* Ends when it is switched to after the stop, and lets the other one go. */
static void *waits_first(void *arg)
{
	(void)arg;
	basic_register(&b);
	state_set(&b, RUNNING, IDLE);
	pin(0, 0);
	b_tid = gettid();
	basic_wait(&b);
	while (!stop)
		basic_switch(&b, &a, a_tid);
	basic_wake(&b, &a, a_tid);
	return NULL;
}

static void *switches_first(void *arg)
{
	(void)arg;
	basic_register(&a);
	pin(0, 0);
	WAIT_FOR(b_tid);
	a_tid = gettid();
	while (state_of(&b) == IDLE)
		basic_switch(&a, &b, b_tid);
	return NULL;
}

static struct pool pool;
static struct server s;
static struct worker w;

static void yields(struct worker *self)
{
	pin(0, 0);
	while (!stop)
		worker_yield(self);
}

static void *serve(void *arg)
{
	(void)arg;
	pin(0, 0);
	server_register(&s, &pool);
	server_loop(&s);
	return NULL;
}

static void compare(const char *what, pid_t one, pid_t two)
{
	pid_t tid[3] = { one, two, hog_tid };
	uint64_t from[3], used[3], sum;
	double pair, lone;

	for (int i = 0; i < 3; i++)
		from[i] = cpu_ns(tid[i]);
	do {
		usleep(20000);
		sum = 0;
		for (int i = 0; i < 3; i++)
			sum += used[i] = cpu_ns(tid[i]) - from[i];
	} while (sum < WINDOW);
	pair = (double)(used[0] + used[1]) / sum;
	lone = (double)used[2] / sum;
	printf("  %s: pair %.2f, hog %.2f of the CPU\n", what, pair, lone);
	if (pair < 0.15)
		FAIL("the pair starves");
	if (lone < 0.22)
		FAIL("the hog starves");
}

int main(void)
{
	pthread_t t[3];

	raw_start();
	t[0] = spawn(waits_first, NULL);
	t[1] = spawn(switches_first, NULL);
	t[2] = spawn(hog, NULL);
	WAIT_FOR(a_tid && b_tid && hog_tid);
	compare("two basic tasks", a_tid, b_tid);
	stop = true;
	for (int i = 0; i < 3; i++)
		join(t[i]);

	stop = false;
	hog_tid = 0;
	worker_start(&w, &pool, yields, NULL);
	t[0] = spawn(serve, NULL);
	t[2] = spawn(hog, NULL);
	WAIT_FOR(s.current && hog_tid);
	compare("server and worker", s.tid, w.tid);
	stop = true;
	join(t[0]);
	join(t[2]);
	worker_join(&w);
	return 0;
}
