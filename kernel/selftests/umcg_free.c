// SPDX-License-Identifier: MIT
/*
 * A worker takes server S out of the slot and is held up before it makes it RUNNING.
 * Meanwhile S gets up and is IDLE again, for another reason. The late worker must
 * leave it alone: S says with UMCG_TF_FREE when it sleeps for work, and only then may
 * it be woken with a word that has not been seen before.
 *
 * What holds the worker up is its write to S's record (userfaultfd); in life it is
 * preemption between two instructions, or copy-on-write after a fork.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "libfault.h"
#include "libraw.h"

static struct pool pool;
static struct slow_page slow;
static struct server *s;
static struct worker early, w;
static struct umcg_task me;
static int fds[2];
static volatile bool reading, waits, woken, lent, go;

static uint32_t slot(void)
{
	return __atomic_load_n(&pool.idle_server, __ATOMIC_SEQ_CST);
}

static bool server_lies(void)
{
	return slot() == (uint32_t)s->tid && state_of(&s->rec) == (IDLE | FREE) && asleep(s->tid);
}

static void reads(struct worker *self)
{
	char c;

	reading = true;
	CHECK_EQ(read(fds[0], &c, 1), 1);
	self->count++;
}

static void spins_and_blocks(struct worker *self)
{
	while (!go)
		;
	nap(NS_PER_MS);		/* if S were RUNNING that would be a breach of contract */
	self->count++;
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void *interrupts(void *arg)
{
	(void)arg;
	while (!lent) {
		CHECK_EQ(syscall(SYS_tgkill, getpid(), s->tid, SIGUSR1), 0);
		usleep(2000);
	}
	return NULL;
}

/* Waits for a peer, not for work. */
static void plain_wait(void)
{
	state_set(&s->rec, RUNNING, IDLE);
	s->rec.next_tid = 0;
	waits = true;
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK(woken);
}

/*
 * Runs a worker; the wait for it ends early, and a task sets a bit of user
 * space's own in the word before S waits on.
 */
static void lend(void)
{
	pthread_t t;
	int r;

	worker_start(&w, &pool, spins_and_blocks, NULL);
	server_expect(s, &w);
	t = spawn(interrupts, NULL);
	for (;;) {
		server_start_run(s, &w);
		r = sys_wait(0, 0);
		if (r)
			break;
		server_expect(s, &w);	/* it has blocked: a first touch of a page */
	}
	CHECK_EQ(r, -EINTR);
	lent = true;
	join(t);
	s->rec.next_tid = 0;
	state_set(&s->rec, IDLE, IDLE | (1U << 17));
	waits = true;
	while ((state_of(&s->rec) & UMCG_TASK_STATE_MASK) == IDLE) {
		r = sys_wait(0, 0);
		CHECK(r == 0 || r == -EINTR);
	}
	/* No task but its worker has ended this. */
	CHECK(go);
	state_set(&s->rec, RUNNING | (1U << 17), RUNNING);
	server_expect(s, &w);
	CHECK_EQ(server_run_through(s, &w), NONE);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
}

static void *serve(void *again)
{
	server_register(s, &pool);
	worker_start(&early, &pool, reads, NULL);
	server_expect(s, &early);
	server_run(s, &early);
	server_expect(s, &early);	/* stays in the slot until it is woken by name */
	((void (*)(void))again)();
	CHECK_EQ(server_run_through(s, &early), NONE);
	worker_join(&early);
	CHECK_EQ(early.count, 1);
	server_unregister(s);
	return NULL;
}

static void test(void *again)
{
	pthread_t t;

	CHECK_EQ(pipe(fds), 0);
	slow_written_page(&slow);
	s = (struct server *)(slow.page + 4096);
	basic_register(&me);
	t = spawn(serve, again);
	WAIT_FOR(reading && state_of(&early.rec) == BLOCKED && server_lies());
	slow_page_protect(&slow);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	slow_page_wait(&slow);
	CHECK_EQ(slot(), 0);
	slow_page_open(&slow);
	CHECK(basic_wake(&me, &s->rec, s->tid));
	WAIT_FOR(waits && asleep(s->tid));
	slow_page_resume(&slow);
	WAIT_FOR(asleep(early.tid));
	usleep(20000);
	CHECK_EQ(state_of(&s->rec) & UMCG_TASK_STATE_MASK, IDLE);
	if (again == plain_wait) {
		woken = true;
		CHECK(basic_wake(&me, &s->rec, s->tid));
	}
	go = true;
	join(t);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };	/* no SA_RESTART */

	raw_start();
	sigaction(SIGUSR1, &sa, NULL);
	raw_note("plain wait");
	check_exits(test, plain_wait, 0, "plain wait");
	raw_note("runs a worker");
	check_exits(test, lend, 0, "runs a worker");
	return 0;
}
