// SPDX-License-Identifier: MIT
/*
 * Death in every state. A child brings its tasks into a state and says so; it
 * is then killed, by a signal to the process or to one thread, and must be
 * gone at once: the parent's wait would hang otherwise.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

struct shared {
	volatile pid_t	target;		/* the thread in the state to be tested */
	volatile int	ready;
};

static struct shared *sh;
static struct pool pool;
static struct server s;
static struct worker w;
static int fds[2];

static void __attribute__((noreturn)) ready(pid_t target)
{
	WAIT_FOR(target == gettid() || asleep(target));
	sh->target = target;
	sh->ready = 1;
	for (;;)
		pause();
}

static void yields(struct worker *self)
{
	for (;;)
		worker_yield(self);
}

static void reads(struct worker *self)
{
	char c;

	self->count = read(fds[0], &c, 1);
}

static void spins(struct worker *self)
{
	sh->target = self->tid;
	sh->ready = 1;
	for (;;)
		self->count++;
}

static void spins_locked(struct worker *self)
{
	state_set(&self->rec, RUNNING, RUNNING | LOCKED);
	spins(self);
}

static void spins_marked(struct worker *self)
{
	state_set(&self->rec, RUNNING, RUNNING | PREEMPTED);
	spins(self);
}

static void reads_marked(struct worker *self)
{
	state_set(&self->rec, RUNNING, RUNNING | PREEMPTED);
	reads(self);
}

static void vforks(struct worker *self)
{
	sh->target = self->tid;
	if (!vfork()) {
		sh->ready = 1;
		for (;;)
			pause();
	}
}

static void first_block(void (*fn)(struct worker *))
{
	server_register(&s, &pool);
	CHECK_EQ(pipe(fds), 0);
	worker_start(&w, &pool, fn, NULL);
	server_expect(&s, &w);
}

static void basic_waits(void *arg)
{
	(void)arg;
	basic_register(&s.rec);
	state_set(&s.rec, RUNNING, IDLE);
	sh->target = gettid();
	sh->ready = 1;
	sys_wait(0, 0);
}

static void basic_waits_with_timeout(void *arg)
{
	(void)arg;
	basic_register(&s.rec);
	state_set(&s.rec, RUNNING, IDLE);
	sh->target = gettid();
	sh->ready = 1;
	sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 3600 * NS_PER_S);
}

static void server_waits_for_work(void *arg)
{
	(void)arg;
	first_block(reads);
	server_run(&s, &w);
	sh->target = gettid();
	sh->ready = 1;
	server_next(&s);
}

static void worker_on_the_list(void *arg)
{
	(void)arg;
	server_register(&s, &pool);
	worker_start(&w, &pool, yields, NULL);
	WAIT_FOR(state_of(&w.rec) == IDLE);
	ready(w.tid);
}

static void worker_yielded(void *arg)
{
	(void)arg;
	first_block(yields);
	server_run_through(&s, &w);
	ready(w.tid);
}

static void worker_blocked(void *arg)
{
	(void)arg;
	first_block(reads);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	ready(w.tid);
}

static void worker_blocked_marked(void *arg)
{
	(void)arg;
	first_block(reads_marked);
	server_run(&s, &w);
	ready(w.tid);
}

static void worker_blocked_unkillable(void *arg)
{
	(void)arg;
	first_block(vforks);
	server_run(&s, &w);
	ready(w.tid);
}

static void run(void (*fn)(struct worker *))
{
	first_block(fn);
	for (;;) {
		server_run(&s, &w);
		while ((state_of(&w.rec) & UMCG_TASK_STATE_MASK) != IDLE || worker_on_list(&w))
			server_expect(&s, &w);
	}
}

static void worker_runs(void *arg) { (void)arg; run(spins); }
static void worker_runs_locked(void *arg) { (void)arg; run(spins_locked); }
static void worker_runs_marked(void *arg) { (void)arg; run(spins_marked); }

static volatile bool came_on;

static void spins_quietly(struct worker *self)
{
	came_on = true;
	for (;;)
		self->count++;
}

static void *preempts(void *arg)
{
	(void)arg;
	WAIT_FOR(came_on);
	CHECK(worker_mark(&w));
	sys_kick(0, w.tid);
	return NULL;
}

static void worker_preempted(void *arg)
{
	(void)arg;
	first_block(spins_quietly);
	spawn(preempts, NULL);
	CHECK_EQ(server_run_through(&s, &w), IDLE | PREEMPTED);
	ready(w.tid);
}

static const struct {
	const char *name;
	void (*fn)(void *arg);
	bool unkillable;	/* a wait that only SIGKILL ends, for any thread */
} states[] = {
#define STATE(fn) { #fn, fn, fn == worker_blocked_unkillable }
	STATE(basic_waits),
	STATE(basic_waits_with_timeout),
	STATE(server_waits_for_work),
	STATE(worker_on_the_list),
	STATE(worker_yielded),
	STATE(worker_blocked),
	STATE(worker_blocked_marked),
	STATE(worker_blocked_unkillable),
	STATE(worker_runs),
	STATE(worker_runs_locked),
	STATE(worker_runs_marked),
	STATE(worker_preempted),
};

/* SIGKILL, a signal without and one with a core dump; to all or to one thread. */
static const struct {
	int sig;
	bool thread;
} deaths[] = {
	{ SIGKILL, false }, { SIGTERM, false }, { SIGTERM, true },
	{ SIGABRT, true }, { SIGQUIT, false },
};

int main(void)
{
	raw_start();
	sh = map_pages(1, MAP_SHARED);
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		raw_note(states[i].name);
		for (size_t k = 0; k < sizeof(deaths) / sizeof(*deaths); k++) {
			int sig = deaths[k].sig, status;
			pid_t pid;

			/* Signals with a core dump are not turned into SIGKILL. */
			if (states[i].unkillable && (sig == SIGABRT || sig == SIGQUIT))
				continue;
			memset(sh, 0, sizeof(*sh));
			pid = child_start(states[i].fn, NULL);
			WAIT_FOR(sh->ready && sh->target);
			usleep(500);
			dprintf(STDOUT_FILENO, "    %s to the %s\n", sigabbrev_np(sig),
				deaths[k].thread ? "thread" : "process");
			if (deaths[k].thread)
				CHECK_EQ(syscall(SYS_tgkill, pid, sh->target, sig), 0);
			else
				CHECK_EQ(kill(pid, sig), 0);
			status = child_wait(pid);
			if (!WIFSIGNALED(status) || WTERMSIG(status) != sig)
				FAIL("wait status 0x%x, expected death of signal %d", status, sig);
		}
	}
	return 0;
}
