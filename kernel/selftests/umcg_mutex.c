// SPDX-License-Identifier: MIT
/*
 * Locks inside the kernel. A writer holds a pipe's mutex, or a file's inode
 * lock, while its source page is slow to come; a second writer blocks on it.
 * Block detection must see the one and the other.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "libraw.h"
#include "libfault.h"

static struct pool pool;
static struct server s;
static struct worker holder, waiter;
static struct slow_page slow;
static int fds[2];

static void writes_slowly(struct worker *self)
{
	CHECK_EQ(write(fds[1], slow.page, 4), 4);
	self->count = 1;
}

static void writes(struct worker *self)
{
	CHECK_EQ(write(fds[1], "more", 4), 4);
	self->count = 1;
}

static void end(struct worker *w)
{
	while (state_of(&w->rec) != NONE)
		server_run(&s, server_next(&s));
}

/* Both are workers. The holder lets go of the lock before it needs a server. */
static void two_workers(void)
{
	slow_page(&slow);
	worker_start(&holder, &pool, writes_slowly, NULL);
	server_expect(&s, &holder);
	worker_start(&waiter, &pool, writes, NULL);
	server_expect(&s, &waiter);
	server_run(&s, &holder);
	CHECK_STATE(&holder.rec, BLOCKED);
	slow_page_wait(&slow);
	server_run(&s, &waiter);
	CHECK_STATE(&waiter.rec, BLOCKED);
	WAIT_FOR(asleep(waiter.tid));
	usleep(2000);
	CHECK_EQ(pool.head, 0);
	slow_page_resolve(&slow);
	/* Unmanaged, under the lock, the holder goes on; then both come home. */
	WAIT_FOR(state_of(&holder.rec) == IDLE && state_of(&waiter.rec) == IDLE);
	CHECK_EQ(holder.count, 0);
	CHECK_EQ(waiter.count, 0);
	end(&holder);
	end(&waiter);
	CHECK_EQ(holder.count, 1);
	CHECK_EQ(waiter.count, 1);
	worker_join(&holder);
	worker_join(&waiter);
	pool.live = 0;
	slow_page_free(&slow);
}

static void pipe_mutex(void)
{
	char buf[8];

	CHECK_EQ(pipe(fds), 0);
	two_workers();
	CHECK_EQ(read(fds[0], buf, 8), 8);
	CHECK_EQ(memcmp(buf, "pagemore", 8), 0);
	close(fds[0]);
	close(fds[1]);
}

static void inode_lock(void)
{
	char buf[8];

	fds[1] = memfd_create("umcg", 0);
	CHECK(fds[1] >= 0);
	CHECK_EQ(fcntl(fds[1], F_SETFL, O_APPEND), 0);
	two_workers();
	CHECK_EQ(pread(fds[1], buf, 8, 0), 8);
	CHECK_EQ(memcmp(buf, "pagemore", 8), 0);
	close(fds[1]);
}

#define CROWD	8

static struct worker crowd[CROWD];

static void appends(struct worker *self)
{
	static const char block[65536];

	for (; self->count < 40; self->count++) {
		CHECK_EQ(pwrite(fds[1], block, sizeof(block), 0), sizeof(block));
		CHECK_EQ(ftruncate(fds[1], 4096), 0);
	}
}

static void *serve(void *arg)
{
	server_register(arg, &pool);
	server_loop(arg);
	server_unregister(arg);
	return NULL;
}

/* Many workers and two servers over one lock, for its many ways to be had. */
static void contended(void)
{
	static struct server servers[2];
	pthread_t t[2];

	memset(&pool, 0, sizeof(pool));
	fds[1] = memfd_create("umcg", 0);
	CHECK(fds[1] >= 0);
	for (int i = 0; i < CROWD; i++)
		worker_start(&crowd[i], &pool, appends, NULL);
	for (int i = 0; i < 2; i++)
		t[i] = spawn(serve, &servers[i]);
	for (int i = 0; i < CROWD; i++)
		worker_join(&crowd[i]);
	for (int i = 0; i < 2; i++)
		join(t[i]);
	for (int i = 0; i < CROWD; i++)
		CHECK_EQ(crowd[i].count, 40);
	close(fds[1]);
}

int main(void)
{
	raw_start();
	RUN(contended);
	memset(&pool, 0, sizeof(pool));
	server_register(&s, &pool);
	RUN(pipe_mutex);
	RUN(inode_lock);
	server_unregister(&s);
	return 0;
}
