// SPDX-License-Identifier: MIT
/*
 * A place that passes on while a record's page cannot be written (userfaultfd): no task
 * waits for the page while it has a place, and the server is told instead.
 */
#include <stddef.h>

#include "libfault.h"
#include "libplace.h"

static struct places places;
static struct slow_page slow;
static struct seat *s;
static struct tenant *t;
static struct umcg_task me;
static int fds[2];
static volatile bool go;

static void reads(struct tenant *self)
{
	char c;

	self->count = 1;
	while (!go)
		;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_STATE(&self->rec, RUNNING);
	self->count = 2;
}

static bool blocked(void)
{
	return tenant_blocked(t) && state_of(&s->rec) == OFFERS;
}

/* One of the two is in the page that will be protected. */
static pthread_t begin(bool server)
{
	static struct seat seat;
	static struct tenant tenant;
	pthread_t serving;

	rec_init(&me, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, &me), 0);
	slow_written_page(&slow);
	s = server ? (struct seat *)(slow.page + 4096) : &seat;
	t = server ? &tenant : (struct tenant *)(slow.page + 4096);
	places.servers = 1;
	places.permission = ADOPT;
	CHECK_EQ(pipe(fds), 0);
	serving = seat_start(s, &places, 0, 0);
	WAIT_FOR(state_of(&s->rec) == OFFERS);
	t->cpu = 0;
	tenant_start(t, &places, reads);
	WAIT_FOR(t->count == 1);
	return serving;
}

static void end(pthread_t serving)
{
	for (int i = 0; i < 2; i++)
		CHECK_EQ(write(fds[1], "x", 1), 1);
	join(t->thread);
	CHECK_EQ(t->count, 2);
	places_stop(&places, s, &me);
	join(serving);
}

/* The worker that adopts meets a page of a record that cannot be written. */
static void adopt_slowly(void)
{
	go = true;
	WAIT_FOR(blocked());
	slow_page_protect(&slow);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	slow_page_wait(&slow);
}

static void serve_page(void)
{
	slow_page_open(&slow);
	slow_page_resume(&slow);
}

/* The worker that blocks cannot change the server's word: the server does it, and is told. */
static void server_blocks(void *arg)
{
	pthread_t serving = begin(true);

	(void)arg;
	slow_page_protect(&slow);
	go = true;
	slow_page_wait(&slow);
	WAIT_FOR(state_of(&t->rec) == BLOCKED);
	CHECK_EQ(s->rec.passes, 0);
	serve_page();
	WAIT_FOR(s->told == 1);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	end(serving);
}

/* Nor can the one that adopts: it has taken the server out of its slot, and wakes it. */
static void server_adopts(void *arg)
{
	pthread_t serving = begin(true);

	(void)arg;
	adopt_slowly();
	CHECK_EQ(places.slots[0], 0);
	CHECK_STATE(&s->rec, OFFERS);
	serve_page();
	WAIT_FOR(s->told == 1);
	end(serving);
}

/* The worker's own record: the server has its place back while the worker waits. */
static void worker_adopts(void *arg)
{
	pthread_t serving = begin(false);

	(void)arg;
	adopt_slowly();
	WAIT_FOR(state_of(&s->rec) == OFFERS && asleep(s->tid));
	CHECK_STATE(&t->rec, BLOCKED);
	serve_page();
	end(serving);
}

int main(void)
{
	raw_start();
	raw_note("the server's, at a block");
	check_exits(server_blocks, NULL, 0, "server_blocks");
	raw_note("the server's, at an adoption");
	check_exits(server_adopts, NULL, 0, "server_adopts");
	raw_note("the worker's own");
	check_exits(worker_adopts, NULL, 0, "worker_adopts");
	return 0;
}
