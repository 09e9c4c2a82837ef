// SPDX-License-Identifier: MIT
/* Exit without unregistering, and against everything else. */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "libraw.h"

static struct pool pool;
static struct server s;

static void nothing(struct worker *w)
{
	(void)w;
}

/* The worker's record says so, its server is woken, the name is forgotten. */
static void worker_exits(void)
{
	static struct worker w;

	worker_start(&w, &pool, nothing, NULL);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_STATE(&s.rec, RUNNING);
	WAIT_FOR(!task_stat(w.tid));
	CHECK_EQ(pool.head, 0);
	CHECK_EQ(sys_kick(0, w.tid), -ESRCH);
	s.rec.next_tid = w.tid;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -ESRCH);
	s.rec.next_tid = 0;
	worker_join(&w);
	pool.live--;
}

/*
 * The record's memory is gone as soon as the server knows. Whatever the kernel
 * still did with it would be seen in the page that comes next to its place.
 */
static void record_is_forgotten(void)
{
	for (int i = 0; i < 300; i++) {
		struct worker *w = map_pages(1, 0);
		pthread_t t;

		worker_start(w, &pool, nothing, NULL);
		t = w->thread;
		server_expect(&s, w);
		CHECK_EQ(server_run_through(&s, w), NONE);
		pool.live--;
		if (i & 1)
			join(t);
		CHECK_EQ(munmap(w, 4096), 0);
		w = mmap(w, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (!(i & 1))
			join(t);
		for (int k = 0; k < 4096; k++)
			CHECK_EQ(((char *)w)[k], 0);
		munmap(w, 4096);
	}
}

/* Exit with user space's LOCKED set: no task's server is touched. */
static void locked_exit(struct worker *w)
{
	state_set(&w->rec, RUNNING, NONE | LOCKED);
	state_set(&w->server->rec, IDLE, RUNNING);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	syscall(SYS_exit, 0);
}

static void worker_says_goodbye(void)
{
	static struct worker w;

	worker_start(&w, &pool, locked_exit, NULL);
	server_expect(&s, &w);
	server_run(&s, &w);
	CHECK_STATE(&s.rec, RUNNING);
	CHECK_EQ(state_of(&w.rec) & UMCG_TASK_STATE_MASK, NONE);
	WAIT_FOR(!task_stat(w.tid));
	CHECK_STATE(&s.rec, RUNNING);
	worker_join(&w);
	pool.live--;
}

static struct server s2;

static void *leaving_server(void *arg)
{
	struct worker *w = arg;

	server_register(&s2, &pool);
	server_expect(&s2, w);
	server_run_through(&s2, w);
	return NULL;	/* without a word, and with a worker that knows its tid */
}

static void yields(struct worker *w)
{
	for (; w->count < 2; w->count++)
		worker_yield(w);
}

static void server_exits(void)
{
	static struct worker w;
	uint64_t word;
	pthread_t t;

	worker_start(&w, &pool, yields, NULL);
	t = spawn(leaving_server, &w);
	join(t);
	CHECK_STATE(&w.rec, IDLE);
	word = s2.rec.state_ts;
	s.rec.next_tid = s2.tid;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -ESRCH);
	s.rec.next_tid = 0;
	CHECK_EQ(server_run_through(&s, &w), IDLE);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(s2.rec.state_ts, word);
	worker_join(&w);
	pool.live--;
	pool.servers[1] = NULL;
}

static void churn(struct worker *w)
{
	uint32_t seed = w->tid;

	for (;;) {
		switch (raw_random(&seed) % 4) {
		case 0:
			nap(raw_random(&seed) % 50000);
			break;
		case 1:
			if (w->arg && raw_random(&seed) % 8 == 0)
				_exit(3);
			break;
		case 2:
			worker_yield(w);
			break;
		default:
			for (volatile int i = raw_random(&seed) % 5000; i; i--)
				;
		}
	}
}

static void *serve(void *arg)
{
	server_register(arg, &pool);
	server_loop(arg);
	return NULL;
}

/* exit_group by a worker (3) or by an ordinary thread (4), all states around. */
static void busy_group(void *by_worker)
{
	static struct server servers[2];
	static struct worker w[8];

	memset(&pool, 0, sizeof(pool));
	for (int i = 0; i < 8; i++)
		worker_start(&w[i], &pool, churn, i ? NULL : by_worker);
	for (int i = 0; i < 2; i++)
		spawn(serve, &servers[i]);
	if (by_worker)
		pause();
	usleep(5000);
	_exit(4);
}

static void group_exits(void)
{
	for (int i = 0; i < 20; i++) {
		check_exits(busy_group, NULL, 4, "exit by a thread");
		check_exits(busy_group, &s, 3, "exit by a worker");
	}
}

/* Workers that end as soon as they are run, over and over in one record. */
static void exit_against_run(void)
{
	static struct worker w[4];

	for (int i = 0; i < 200; i++) {
		for (int k = 0; k < 4; k++)
			worker_start(&w[k], &pool, nothing, NULL);
		server_loop(&s);
		for (int k = 0; k < 4; k++)
			worker_join(&w[k]);
	}
	CHECK_EQ(s.ends, 800);
}

int main(void)
{
	raw_start();
	RUN(group_exits);
	server_register(&s, &pool);
	RUN(worker_exits);
	RUN(worker_says_goodbye);
	RUN(server_exits);
	RUN(record_is_forgotten);
	RUN(exit_against_run);
	server_unregister(&s);
	return 0;
}
