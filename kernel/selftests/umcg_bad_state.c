// SPDX-License-Identifier: MIT
/*
 * Impossible states: a breach of contract ends the process with SIGSEGV. In
 * each case a bystander group in the parent goes on undisturbed.
 */
#include <signal.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w;

static void setup(void (*fn)(struct worker *))
{
	server_register(&s, &pool);
	worker_start(&w, &pool, fn, NULL);
	server_expect(&s, &w);
}

/* RUNNING says the worker, but its server is not waiting for it. */
static void run_with_server(uint32_t state, pid_t tid)
{
	worker_claim(&w);
	w.rec.next_tid = tid;
	w.server = &s;
	s.rec.next_tid = w.tid;
	if (state != RUNNING)
		state_set(&s.rec, RUNNING, state);
	state_set(&w.rec, RUNNING | LOCKED, RUNNING);
	sys_wait(state == RUNNING ? WAKE_ONLY : 0, 0);
	await_death();
}

static void blocks(struct worker *self)
{
	(void)self;
	pause();
}

static void server_is_running(void *arg)
{
	(void)arg;
	setup(blocks);
	run_with_server(RUNNING, s.tid);
}

static void server_does_not_exist(void *arg)
{
	(void)arg;
	setup(blocks);
	run_with_server(IDLE, 0x3ffffff0);
}

static void server_is_no_umcg_task(void *arg)
{
	(void)arg;
	setup(blocks);
	run_with_server(IDLE, 1);
}

static void server_is_itself(void *arg)
{
	(void)arg;
	setup(blocks);
	run_with_server(IDLE, w.tid);
}

static struct worker other;

static void server_is_a_worker(void *arg)
{
	(void)arg;
	setup(blocks);
	worker_start(&other, &pool, blocks, NULL);
	server_expect(&s, &other);
	run_with_server(IDLE, other.tid);
}

static void server_has_no_state(void *arg)
{
	(void)arg;
	setup(blocks);
	run_with_server(NONE, s.tid);
}

static int fds[2];

static void reads(struct worker *self)
{
	char c;

	self->count = read(fds[0], &c, 1);
	_exit(8);
}

/* A worker that wakes up and is not BLOCKED any more. */
static void meddles(uint32_t state)
{
	CHECK_EQ(pipe(fds), 0);
	setup(reads);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	w.rec.next_tid = 0;
	state_set(&w.rec, BLOCKED, state);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	await_death();
}

static void blocked_becomes_none(void *arg) { (void)arg; meddles(NONE); }
static void blocked_becomes_unknown(void *arg) { (void)arg; meddles(7); }

/*
 * A blocked worker is made RUNNING although no task may yet: it dies, or goes
 * to the list as one that has no server. It must not run.
 */
static void blocked_becomes_running(void *arg)
{
	(void)arg;
	CHECK_EQ(pipe(fds), 0);
	setup(reads);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	w.rec.next_tid = 0;
	state_set(&w.rec, BLOCKED, RUNNING);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	server_expect(&s, &w);
}

/* A waiting server or basic task with an unknown state: no harm, an end. */
static void odd_basic(void *arg)
{
	uint32_t state = *(uint32_t *)arg;

	basic_register(&s.rec);
	state_set(&s.rec, RUNNING, state);
	sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + NS_PER_MS / 2);
}

static const struct {
	const char *name;
	void (*fn)(void *arg);
	bool dies;	/* else it may also go on, as long as it ends */
} cases[] = {
	{ "server_is_running", server_is_running, true },
	{ "server_does_not_exist", server_does_not_exist, true },
	{ "server_is_no_umcg_task", server_is_no_umcg_task, true },
	{ "server_is_itself", server_is_itself, true },
	{ "server_is_a_worker", server_is_a_worker, true },
	{ "server_has_no_state", server_has_no_state, true },
	{ "blocked_becomes_none", blocked_becomes_none, true },
	{ "blocked_becomes_unknown", blocked_becomes_unknown, true },
	{ "blocked_becomes_running", blocked_becomes_running, false },
};

static struct pool by_pool;
static struct server by_server;
static struct worker bystander;

static void bystands(struct worker *self)
{
	for (;; self->count++) {
		if (self->count & 1)
			nap(10000);
		worker_yield(self);
	}
}

/* The bystanders make some steps. */
static void step(int n)
{
	long goal = bystander.count + n;

	while (bystander.count < goal)
		server_run_through(&by_server, &bystander);
}

int main(void)
{
	raw_start();
	server_register(&by_server, &by_pool);
	worker_start(&bystander, &by_pool, bystands, NULL);
	server_expect(&by_server, &bystander);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		pid_t pid;

		raw_note(cases[i].name);
		step(5);
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			memset(&s, 0, sizeof(s));
			cases[i].fn(NULL);
			_exit(0);
		}
		step(50);
		if (cases[i].dies) {
			int status = child_wait(pid);

			if ((status & 0x7f) != SIGSEGV)
				FAIL("wait status 0x%x, expected death of SIGSEGV", status);
		} else {
			int status = child_wait(pid);

			if (status && (status & 0x7f) != SIGSEGV)
				FAIL("wait status 0x%x, expected 0 or SIGSEGV", status);
		}
		step(5);
	}
	for (uint32_t state = 0; state < 0x100; state++)
		if (state != RUNNING)
			in_child(odd_basic, &state);
	step(5);
	_exit(0);
}
