// SPDX-License-Identifier: MIT
/*
 * Bad pointers in a worker's record, and records that go away: the process
 * dies of SIGSEGV, which no handler catches; no other task notices.
 */
#include <signal.h>
#include <sys/mman.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker *w;
static pid_t worker_tid;
static int fds[2];

static void caught(int sig)
{
	(void)sig;
	_exit(9);
}

/* A group whose worker's record has a page for itself. */
static void setup(void (*fn)(struct worker *))
{
	sigset_t all;

	sigfillset(&all);
	w = map_pages(1, 0);
	CHECK_EQ(pipe(fds), 0);
	signal(SIGSEGV, caught);
	sigprocmask(SIG_BLOCK, &all, NULL);
	server_register(&s, &pool);
	worker_start(w, &pool, fn, NULL);
	server_expect(&s, w);
	worker_tid = w->tid;
}

#define HOLE	1	/* an address where nothing is mapped */

static uint64_t hole(void)
{
	char *page = map_pages(1, 0);

	CHECK_EQ(munmap(page, 4096), 0);
	return (uint64_t)page;
}

static void reads(struct worker *self)
{
	char c;

	(void)self;
	if (read(fds[0], &c, 1) == 1)
		_exit(8);
}

static void yields(struct worker *self)
{
	(void)self;
	worker_yield(w);
}

/* The worker wakes up and finds its own record so. */
static void wake_with(uint64_t list, uint64_t slot)
{
	setup(reads);
	if (list == HOLE)
		list = hole();
	if (slot == HOLE)
		slot = hole();
	server_run(&s, w);
	CHECK_STATE(&w->rec, BLOCKED);
	if (list)
		w->rec.idle_workers_ptr = list;
	if (slot)
		w->rec.idle_server_tid_ptr = slot;
	CHECK_EQ(write(fds[1], "x", 1), 1);
	await_death();
}

static void list_unmapped(void *arg) { (void)arg; wake_with(HOLE, 0); }
static void list_kernel(void *arg) { (void)arg; wake_with(0xffff888000000000, 0); }
static void list_misaligned(void *arg) { (void)arg; wake_with((uint64_t)&pool.head + 4, 0); }
static void list_noncanonical(void *arg) { (void)arg; wake_with(0x8000000000000000, 0); }
static void slot_unmapped(void *arg) { (void)arg; wake_with(0, HOLE); }
static void slot_kernel(void *arg) { (void)arg; wake_with(0, 0xffffffff81000000); }
static void slot_misaligned(void *arg) { (void)arg; wake_with(0, (uint64_t)&pool.idle_server + 1); }

static void list_readonly(void *arg)
{
	char *page = map_pages(1, 0);

	(void)arg;
	memset(page, 0, 4096);
	CHECK_EQ(mprotect(page, 4096, PROT_READ), 0);
	wake_with((uint64_t)page, 0);
}

/* The record is unmapped, or becomes read-only, while the worker is ... */
enum moment { ON_LIST, IN_WAIT, WHILE_BLOCKED };

static void record_lost(enum moment when, int prot)
{
	setup(when == WHILE_BLOCKED ? reads : yields);
	if (when != ON_LIST)
		server_run(&s, w);
	if (prot)
		CHECK_EQ(mprotect(w, 4096, prot), 0);
	else
		CHECK_EQ(munmap(w, 4096), 0);
	/* It notices as soon as a task wakes it. */
	if (when == WHILE_BLOCKED) {
		CHECK_EQ(write(fds[1], "x", 1), 1);
	} else {
		s.rec.next_tid = worker_tid;
		sys_wait(WAKE_ONLY, 0);
	}
	await_death();
}

static void unmapped_on_list(void *arg) { (void)arg; record_lost(ON_LIST, 0); }
static void unmapped_in_wait(void *arg) { (void)arg; record_lost(IN_WAIT, 0); }
static void unmapped_while_blocked(void *arg) { (void)arg; record_lost(WHILE_BLOCKED, 0); }
static void readonly_while_blocked(void *arg) { (void)arg; record_lost(WHILE_BLOCKED, PROT_READ); }

/* A running worker takes its own record away, then blocks. */
static void saws(struct worker *self)
{
	CHECK_EQ(self->arg ? mprotect(w, 4096, PROT_READ) : munmap(w, 4096), 0);
	pause();
}

static void run_saw(void *arg)
{
	setup(saws);
	w->arg = arg;
	server_run(&s, w);
	await_death();
}

static void unmapped_while_running(void *arg) { (void)arg; run_saw(NULL); }
static void readonly_while_running(void *arg) { (void)arg; run_saw(&s); }

/* The server's record goes away under a worker that runs. */
static struct server *lost;

static void unmaps_server(struct worker *self)
{
	(void)self;
	CHECK_EQ(munmap(lost, 4096), 0);
	pause();
}

static void server_unmapped(void *arg)
{
	(void)arg;
	lost = map_pages(1, 0);
	w = map_pages(1, 0);
	server_register(lost, &pool);
	worker_start(w, &pool, unmaps_server, NULL);
	server_expect(lost, w);
	server_start_run(lost, w);
	sys_wait(0, 0);
	await_death();
}

/* A worker whose own record is bad at exit: the process was ending anyway. */
static void leaves(struct worker *self)
{
	(void)self;
	CHECK_EQ(munmap(w, 4096), 0);
}

static void exit_without_record(void *arg)
{
	(void)arg;
	setup(leaves);
	server_start_run(&s, w);
	sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 200 * NS_PER_MS);
	usleep(100000);
}

static const struct {
	const char *name;
	void (*fn)(void *arg);
} cases[] = {
#define CASE(fn) { #fn, fn }
	CASE(list_unmapped),
	CASE(list_kernel),
	CASE(list_misaligned),
	CASE(list_noncanonical),
	CASE(list_readonly),
	CASE(slot_unmapped),
	CASE(slot_kernel),
	CASE(slot_misaligned),
	CASE(unmapped_on_list),
	CASE(unmapped_in_wait),
	CASE(unmapped_while_blocked),
	CASE(readonly_while_blocked),
	CASE(unmapped_while_running),
	CASE(readonly_while_running),
	CASE(server_unmapped),
};

int main(void)
{
	raw_start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		raw_note(cases[i].name);
		check_dies(cases[i].fn, NULL, SIGSEGV, cases[i].name);
	}
	raw_note("exit_without_record");
	in_child(exit_without_record, NULL);	/* dies or not; it must end */
	return 0;
}
