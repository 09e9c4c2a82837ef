// SPDX-License-Identifier: MIT
/*
 * Records in memory that the kernel cannot reach without a fault just when it
 * needs it: copy-on-write after a fork, and pages dropped from the page tables.
 * Kernel and user space must go on to see the same word.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

#define ROUNDS	50

/* One page each: worker, server, list head and slot. */
struct group {
	struct worker	*w;
	struct server	*s;
	struct pool	*pool;
};

static struct group g;
static int fds[2];
static pid_t child;

/* What happens to the pages, just before the block or while it lasts. */
static void (*upset)(void);
static bool before_the_block;

static void reads(struct worker *self)
{
	char c;

	for (int i = 0; i < ROUNDS; i++) {
		/* Between this and the end of the read nothing touches the pages. */
		if (before_the_block)
			upset();
		if (read(fds[0], &c, 1) != 1)
			FAIL("read: %s", strerror(errno));
		self->count++;
	}
}

static void group_runs(int mapping)
{
	g.w = map_pages(1, mapping);
	g.s = map_pages(1, mapping);
	g.pool = map_pages(1, mapping);
	CHECK_EQ(pipe(fds), 0);
	server_register(g.s, g.pool);
	worker_start(g.w, g.pool, reads, NULL);
	server_expect(g.s, g.w);
	for (int i = 0; i < ROUNDS; i++) {
		/* Other blocks (a page fault that waits for a lock) may come between. */
		while (server_run(g.s, g.w), g.w->count == i && worker_on_list(g.w))
			server_expect(g.s, g.w);
		if (state_of(&g.w->rec) != BLOCKED) {
			CHECK_STATE(&g.w->rec, IDLE);
			server_expect(g.s, g.w);
			i--;
			continue;
		}
		if (!before_the_block)
			upset();
		CHECK_EQ(write(fds[1], "x", 1), 1);
		server_expect(g.s, g.w);
	}
	CHECK_EQ(server_run_through(g.s, g.w), NONE);
	CHECK_EQ(g.w->count, ROUNDS);
	worker_join(g.w);
	server_unregister(g.s);
	munmap(g.w, 4096);
	munmap(g.s, 4096);
	munmap(g.pool, 4096);
	close(fds[0]);
	close(fds[1]);
}

static void each_moment(void (*what)(void), int mapping)
{
	upset = what;
	for (int i = 0; i < 2; i++) {
		before_the_block = i;
		group_runs(mapping);
	}
}

/*
 * A child that lives on holds the other copy. Raw, so that nothing of libc
 * writes to the pages in between; a new child each time, for a new sharing.
 */
static void fork_child(void)
{
	pid_t pid = syscall(SYS_fork);

	if (!pid)
		for (;;)
			syscall(SYS_pause);
	if (child) {
		syscall(SYS_kill, child, SIGKILL);
		syscall(SYS_wait4, child, NULL, 0, NULL);
	}
	child = pid;
}

static void copy_on_write(void)
{
	each_moment(fork_child, MAP_PRIVATE);
	kill(child, SIGKILL);
	child_wait(child);
}

static void advise_all(int advice)
{
	if (madvise(g.w, 4096, advice) || madvise(g.s, 4096, advice) ||
	    madvise(g.pool, 4096, advice))
		FAIL("madvise(%d): %s", advice, strerror(errno));
}

/* Shared memory keeps its contents; only the page tables forget the page. */
static void drop(void)
{
	advise_all(MADV_DONTNEED);
}

static void dropped(void)
{
	each_moment(drop, MAP_SHARED);
}

/* To swap, where there is one. */
static void page_out(void)
{
	advise_all(MADV_PAGEOUT);
}

static void paged_out(void)
{
	each_moment(page_out, MAP_PRIVATE);
	each_moment(page_out, MAP_SHARED);
}

/* Write-protected for a moment, like garbage collectors do it. */
static void protect(void)
{
	CHECK_EQ(mprotect(g.w, 4096, PROT_READ), 0);
	CHECK_EQ(mprotect(g.w, 4096, PROT_READ | PROT_WRITE), 0);
}

static void reprotected(void)
{
	each_moment(protect, MAP_PRIVATE);
	each_moment(protect, MAP_SHARED);
}

int main(void)
{
	raw_start();
	RUN(copy_on_write);
	RUN(dropped);
	RUN(paged_out);
	RUN(reprotected);
	return 0;
}
