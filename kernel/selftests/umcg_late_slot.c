// SPDX-License-Identifier: MIT
/*
 * A worker reads the idle server's tid from the slot, and before it takes it out
 * the server has got up, found that worker on the list, and lain down again: in
 * the slot as before, but with another word. The worker then takes it out of the
 * slot and must not make it RUNNING from a word that it has not seen. But the
 * server must notice, or it sleeps in no slot beside the work that comes next.
 *
 * That must also hold if it has run another worker in between, and the kernel has not
 * seen it RUNNING since: its wait had ended early when that worker gave its place back.
 */
#include <signal.h>
#include <sys/syscall.h>

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
	return slot() == (uint32_t)s.tid && state_of(&s.rec) == (IDLE | FREE) && asleep(s.tid);
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

/* How the server's last wait before it sleeps for the second time ends. */
enum before { WOKEN, TIMED_OUT, INTERRUPTED };

static volatile bool go, interrupted;

static void spins(struct worker *self)
{
	(void)self;
	while (!go)
		;
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void *interrupts(void *arg)
{
	(void)arg;
	while (!interrupted) {
		CHECK_EQ(syscall(SYS_tgkill, getpid(), s.tid, SIGUSR1), 0);
		usleep(2000);
	}
	return NULL;
}

/* Runs a worker that ends when the server has left its wait for it. */
static void run_another(enum before before)
{
	static struct worker w;
	pthread_t t;
	int r;

	worker_start(&w, pool, spins, NULL);
	server_expect(&s, &w);
	if (before == INTERRUPTED)
		t = spawn(interrupts, NULL);
	for (;;) {
		server_start_run(&s, &w);
		if (before == INTERRUPTED)
			r = sys_wait(0, 0);
		else
			r = sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + NS_PER_MS);
		if (r)
			break;
		server_expect(&s, &w);	/* it has blocked: a first touch of a page */
	}
	CHECK_EQ(r, before == INTERRUPTED ? -EINTR : -ETIMEDOUT);
	s.rec.next_tid = 0;
	interrupted = true;
	if (before == INTERRUPTED)
		join(t);
	go = true;
	WAIT_FOR(state_of(&s.rec) == RUNNING);
	if (state_of(&w.rec) != NONE) {
		server_expect(&s, &w);
		CHECK_EQ(server_run_through(&s, &w), NONE);
	}
	worker_join(&w);
	__atomic_sub_fetch(&pool->live, 1, __ATOMIC_SEQ_CST);
}

static void *serve(void *arg)
{
	enum before before = *(enum before *)arg;

	server_register(&s, pool);
	worker_start(&early, pool, reads, NULL);
	server_expect(&s, &early);
	server_run(&s, &early);
	CHECK_STATE(&early.rec, BLOCKED);

	server_expect(&s, &early);
	if (before != WOKEN)
		run_another(before);
	collected = true;
	server_expect(&s, &late);
	CHECK_EQ(server_run_through(&s, &late), NONE);
	CHECK_EQ(server_run_through(&s, &early), NONE);
	server_unregister(&s);
	return NULL;
}

static void late_slot(void *before)
{
	size_t page = 4096;
	pthread_t t;

	CHECK_EQ(pipe(fds), 0);
	slow_written_page(&slow);
	/* The list's head before the border, the slot behind it. */
	pool = (struct pool *)(slow.page + page - sizeof(pool->head));
	basic_register(&me);
	t = spawn(serve, before);
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
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };	/* no SA_RESTART */
	static const char * const names[] = { "woken", "timed out", "interrupted" };

	raw_start();
	sigaction(SIGUSR1, &sa, NULL);
	for (enum before before = WOKEN; before <= INTERRUPTED; before++) {
		raw_note(names[before]);
		check_exits(late_slot, &before, 0, names[before]);
	}
	return 0;
}
