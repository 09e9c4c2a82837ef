// SPDX-License-Identifier: MIT
/*
 * A worker reads the idle server's tid from the slot, and before it takes it out
 * the server has got up, found that worker on the list, and lain down again: in
 * the slot as before, but with another word. The worker then takes it out of the
 * slot and must not make it RUNNING from a word that it has not seen. But the
 * server must notice, or it sleeps in no slot beside the work that comes next.
 */
#include "libfault.h"
#include "libraw.h"

static struct pool *pool;	/* its slot is in a page of its own */
static struct slow_page slow;
static struct server s;
static struct worker early, late;
static struct umcg_task me;
static int fds[2];
static volatile bool reading, collected;

static uint32_t slot(void)
{
	return __atomic_load_n(&pool->idle_server, __ATOMIC_SEQ_CST);
}

static bool server_lies(void)
{
	return slot() == (uint32_t)s.tid && state_of(&s.rec) == IDLE && asleep(s.tid);
}

static void reads(struct worker *self)
{
	char c;

	reading = true;
	CHECK_EQ(read(fds[0], &c, 1), 1);
	self->count++;
}

static void counts(struct worker *self)
{
	self->count++;
}

static void *serve(void *arg)
{
	(void)arg;
	server_register(&s, pool);
	worker_start(&early, pool, reads, NULL);
	server_expect(&s, &early);
	server_run(&s, &early);
	CHECK_STATE(&early.rec, BLOCKED);

	server_expect(&s, &early);
	collected = true;
	server_expect(&s, &late);
	CHECK_EQ(server_run_through(&s, &late), NONE);
	CHECK_EQ(server_run_through(&s, &early), NONE);
	server_unregister(&s);
	return NULL;
}

int main(void)
{
	size_t page = 4096;
	pthread_t t;

	raw_start();
	CHECK_EQ(pipe(fds), 0);
	slow_written_page(&slow);
	/* The list's head before the border, the slot behind it. */
	pool = (struct pool *)(slow.page + page - sizeof(pool->head));
	basic_register(&me);
	t = spawn(serve, NULL);
	/* It is BLOCKED before its first run, too. */
	WAIT_FOR(reading && state_of(&early.rec) == BLOCKED && server_lies());

	slow_page_protect(&slow);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	slow_page_wait(&slow);
	CHECK_STATE(&early.rec, IDLE);
	slow_page_open(&slow);
	CHECK(basic_wake(&me, &s.rec, s.tid));
	WAIT_FOR(collected && server_lies());

	slow_page_resume(&slow);
	raw_note("the worker has taken the slot");
	WAIT_FOR(asleep(early.tid));
	WAIT_FOR(server_lies());

	worker_start(&late, pool, counts, NULL);
	join(t);
	worker_join(&early);
	worker_join(&late);
	CHECK_EQ(early.count, 1);
	CHECK_EQ(late.count, 1);
	return 0;
}
