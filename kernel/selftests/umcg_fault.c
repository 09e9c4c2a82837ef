// SPDX-License-Identifier: MIT
/*
 * Page faults that sleep: in a worker's own memory they are a block like any
 * other; in the records, the kernel's own accesses have to wait for them.
 */
#include <signal.h>
#include <sys/mman.h>

#include "libraw.h"
#include "libfault.h"

static struct pool pool;
static struct server s;
static struct worker w;
static struct slow_page slow;
static int fds[2];

static void touches(struct worker *self)
{
	self->count = *(volatile char *)slow.page;
}

/* Touched in user mode. */
static void in_user_mode(void)
{
	slow_page(&slow);
	worker_start(&w, &pool, touches, NULL);
	server_expect(&s, &w);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	slow_page_wait(&slow);
	WAIT_FOR(asleep(w.tid));
	slow_page_resolve(&slow);
	server_expect(&s, &w);
	CHECK_EQ(w.count, 0);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 'p');
	worker_join(&w);
	pool.live--;
	slow_page_free(&slow);
}

static void writes(struct worker *self)
{
	char buf[4];

	CHECK_EQ(write(fds[1], slow.page, 4), 4);
	CHECK_EQ(read(fds[0], buf, 4), 4);
	self->count = buf[0];
}

/* Touched by a system call. */
static void in_system_call(void)
{
	slow_page(&slow);
	worker_start(&w, &pool, writes, NULL);
	server_expect(&s, &w);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	slow_page_wait(&slow);
	slow_page_resolve(&slow);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 'p');
	worker_join(&w);
	pool.live--;
	slow_page_free(&slow);
}

static volatile bool answer, stop;

static void *answers(void *arg)
{
	uint32_t seed = 1;

	(void)arg;
	while (!stop) {
		/* Polled, so that it can be told to stop: faults repeat until answered. */
		if (answer) {
			usleep(raw_random(&seed) % 2000);
			slow_page_resolve(&slow);
		}
		usleep(100);
	}
	return NULL;
}

/* All records in one slow page. */
struct records {
	struct worker	w;
	struct server	s;
	struct pool	pool;
};

static struct records *r;

static void drops(struct worker *self)
{
	char c;

	for (int i = 0; i < 50; i++) {
		CHECK_EQ(madvise(r, 4096, MADV_DONTNEED), 0);
		CHECK_EQ(read(fds[0], &c, 1), 1);
		self->count++;
	}
}

static void *writer(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		usleep(3000);
		CHECK_EQ(write(fds[1], "x", 1), 1);
	}
	return NULL;
}

/*
 * The page with every record is gone just before each block, and every access
 * to it, the kernel's too, takes up to 2 ms.
 */
static void in_the_records(void)
{
	pthread_t t[2];

	slow_shared_page(&slow);
	r = (struct records *)slow.page;
	stop = false;
	answer = true;
	t[0] = spawn(answers, NULL);
	server_register(&r->s, &r->pool);
	worker_start(&r->w, &r->pool, drops, NULL);
	t[1] = spawn(writer, NULL);
	server_loop(&r->s);
	CHECK_EQ(r->w.count, 50);
	worker_join(&r->w);
	server_unregister(&r->s);
	stop = true;
	join(t[0]);
	join(t[1]);
	slow_page_free(&slow);
}

static volatile int *phase;

/* No task answers: the worker blocks and the kernel waits for the record. */
static void never_answered(void *arg)
{
	pthread_t t;

	(void)arg;
	slow_shared_page(&slow);
	r = (struct records *)slow.page;
	answer = true;
	stop = false;
	t = spawn(answers, NULL);
	server_register(&r->s, &r->pool);
	worker_start(&r->w, &r->pool, drops, NULL);
	server_next(&r->s);
	stop = true;
	join(t);
	*phase = 1;
	server_run(&r->s, &r->w);
	pause();
}

/* A process in that state can be killed. */
static void killed_while_it_waits(void)
{
	phase = map_pages(1, MAP_SHARED);
	for (int i = 0; i < 5; i++) {
		int status;
		pid_t pid;

		*phase = 0;
		pid = child_start(never_answered, NULL);
		WAIT_FOR(*phase);
		usleep(10000);
		CHECK_EQ(kill(pid, SIGKILL), 0);
		status = child_wait(pid);
		CHECK_EQ(status, SIGKILL);
	}
}

int main(void)
{
	raw_start();
	CHECK_EQ(pipe(fds), 0);
	server_register(&s, &pool);
	RUN(in_user_mode);
	RUN(in_system_call);
	server_unregister(&s);
	RUN(in_the_records);
	RUN(killed_while_it_waits);
	return 0;
}
