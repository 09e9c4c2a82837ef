// SPDX-License-Identifier: MIT
/*
 * A debugger attaches to, stops, looks at, continues and detaches from a task
 * in every state; afterwards the group works as if nothing had been.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "libraw.h"

struct shared {
	volatile pid_t	target;
	volatile bool	go;
};

static struct shared *sh;
static struct pool pool;
static struct server s;
static struct worker w;
static int fds[2];

static void *main_is_waiting(void *arg)
{
	struct umcg_task own;

	(void)arg;
	basic_register(&own);
	WAIT_FOR(sh->go);
	CHECK(basic_wake(&own, &s.rec, s.tid));
	return NULL;
}

static void basic_waits(void)
{
	s.tid = gettid();
	basic_register(&s.rec);
	state_set(&s.rec, RUNNING, IDLE);
	spawn(main_is_waiting, NULL);
	sh->target = s.tid;
	basic_wait(&s.rec);
}

static void reads(struct worker *self)
{
	char c;

	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'x');
	self->count = 1;
}

static void yields(struct worker *self)
{
	worker_yield(self);
	self->count = 1;
}

static void spins(struct worker *self)
{
	while (!sh->go)
		;
	self->count = 1;
}

static void *release(void *arg)
{
	(void)arg;
	WAIT_FOR(sh->go);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	return NULL;
}

static void prepare(void (*fn)(struct worker *))
{
	CHECK_EQ(pipe(fds), 0);
	server_register(&s, &pool);
	worker_start(&w, &pool, fn, NULL);
	WAIT_FOR(state_of(&w.rec) == IDLE && asleep(w.tid));
}

static void finish(void)
{
	server_loop(&s);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
}

static void worker_on_the_list(void)
{
	prepare(yields);
	sh->target = w.tid;
	WAIT_FOR(sh->go);
	finish();
}

static void worker_in_wait(void)
{
	prepare(yields);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), IDLE);
	sh->target = w.tid;
	WAIT_FOR(sh->go);
	server_push(&s, &w);
	finish();
}

static void waits_a_while(struct worker *self)
{
	/* Its time is up while a debugger looks, or later. */
	CHECK_EQ(worker_park(self, NULL, now_ns(CLOCK_MONOTONIC) + 4 * NS_PER_MS), -ETIMEDOUT);
	self->count = 1;
}

static void worker_in_timed_wait(void)
{
	prepare(waits_a_while);
	server_expect(&s, &w);
	server_run(&s, &w);
	sh->target = w.tid;
	WAIT_FOR(sh->go);
	finish();
}

static void *preempts(void *arg)
{
	(void)arg;
	while (!sh->go) {
		if (worker_mark(&w))
			sys_kick(0, w.tid);
		usleep(300);
	}
	return NULL;
}

/* Kicked again and again, stopped or not. */
static void worker_is_preempted(void)
{
	prepare(spins);
	spawn(preempts, NULL);
	sh->target = w.tid;
	finish();
}

/* Stopped and run at the same time: it runs on when the debugger lets it. */
static void worker_run_while_stopped(void)
{
	prepare(reads);
	spawn(release, NULL);
	sh->target = w.tid;
	WAIT_FOR(sh->target == -1);
	finish();
}

static void blocked(bool server)
{
	prepare(reads);
	spawn(release, NULL);
	server_expect(&s, &w);
	server_run(&s, &w);
	sh->target = server ? s.tid : w.tid;
	finish();
}

static void worker_blocked(void) { blocked(false); }
static void server_waits_for_work(void) { blocked(true); }

static void running(bool server)
{
	prepare(spins);
	sh->target = server ? s.tid : w.tid;
	finish();
}

static void worker_runs(void) { running(false); }
static void server_runs_worker(void) { running(true); }

static const struct {
	const char *name;
	void (*fn)(void);
} states[] = {
#define STATE(fn) { #fn, fn }
	STATE(basic_waits),
	STATE(server_waits_for_work),
	STATE(server_runs_worker),
	STATE(worker_on_the_list),
	STATE(worker_in_wait),
	STATE(worker_blocked),
	STATE(worker_runs),
	STATE(worker_run_while_stopped),
	STATE(worker_in_timed_wait),
	STATE(worker_is_preempted),
};

static void tracee(void *arg)
{
	states[*(int *)arg].fn();
}

static void wait_stop(pid_t tid)
{
	int status;

	CHECK_EQ(waitpid(tid, &status, __WALL), tid);
	if (!WIFSTOPPED(status))
		FAIL("tracee's wait status 0x%x, expected a stop", status);
}

static void look(pid_t tid)
{
	struct user_regs_struct regs;

	CHECK_EQ(ptrace(PTRACE_GETREGS, tid, 0, &regs), 0);
	CHECK(regs.rip);
	CHECK_EQ(ptrace(PTRACE_SETREGS, tid, 0, &regs), 0);
}

static void seize(pid_t tid, int i)
{
	CHECK_EQ(ptrace(PTRACE_SEIZE, tid, 0, 0), 0);
	for (int k = 0; k < 3; k++) {
		CHECK_EQ(ptrace(PTRACE_INTERRUPT, tid, 0, 0), 0);
		wait_stop(tid);
		look(tid);
		if (states[i].fn == worker_run_while_stopped) {
			sh->target = -1;
			usleep(20000);
		}
		CHECK_EQ(ptrace(PTRACE_CONT, tid, 0, 0), 0);
		usleep(1000);
	}
	CHECK_EQ(ptrace(PTRACE_INTERRUPT, tid, 0, 0), 0);
	wait_stop(tid);
	CHECK_EQ(ptrace(PTRACE_DETACH, tid, 0, 0), 0);
}

/* gdb's older way: attach sends a SIGSTOP. */
static void attach(pid_t tid, int i)
{
	for (int k = 0; k < 3; k++) {
		CHECK_EQ(ptrace(PTRACE_ATTACH, tid, 0, 0), 0);
		wait_stop(tid);
		look(tid);
		if (states[i].fn == worker_run_while_stopped) {
			sh->target = -1;
			usleep(20000);
		}
		CHECK_EQ(ptrace(PTRACE_DETACH, tid, 0, 0), 0);
		usleep(1000);
	}
}

/* The whole process, by job control. */
static void stop(pid_t pid, int i)
{
	if (states[i].fn == worker_run_while_stopped)
		sh->target = -1;
	for (int k = 0; k < 3; k++) {
		int status;

		CHECK_EQ(kill(pid, SIGSTOP), 0);
		CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status));
		CHECK_EQ(kill(pid, SIGCONT), 0);
		usleep(1000);
	}
}

/*
 * Like strace -p: from here on the thread stops at the beginning and the end of
 * every system call, those included that it is in and that the kernel restarts.
 * Returns the wait status of its end.
 */
static int trace_to_the_end(pid_t tid, int i)
{
	int status;

	CHECK_EQ(ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD), 0);
	CHECK_EQ(ptrace(PTRACE_INTERRUPT, tid, 0, 0), 0);
	wait_stop(tid);
	if (states[i].fn == worker_run_while_stopped)
		sh->target = -1;
	sh->go = true;
	for (;;) {
		CHECK_EQ(ptrace(PTRACE_SYSCALL, tid, 0, 0), 0);
		CHECK_EQ(waitpid(tid, &status, __WALL), tid);
		if (!WIFSTOPPED(status))
			return status;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			look(tid);
	}
}

static void each_state(void)
{
	for (int i = 0; i < (int)(sizeof(states) / sizeof(*states)); i++) {
		raw_note(states[i].name);
		for (int way = 0; way < 4; way++) {
			pid_t pid, tid;

			memset(sh, 0, sizeof(*sh));
			pid = child_start(tracee, &i);
			WAIT_FOR(sh->target);
			usleep(2000);
			tid = sh->target;
			if (way == 0)
				seize(tid, i);
			else if (way == 1)
				attach(tid, i);
			else if (way == 2)
				stop(pid, i);
			else
				CHECK_EQ(trace_to_the_end(tid, i), 0);
			sh->go = true;
			/* A thread that is traced to its end has been waited for. */
			if (way != 3 || tid != pid)
				CHECK_EQ(child_wait(pid), 0);
		}
	}
}

static void busy(struct worker *self)
{
	char c;

	for (; self->count < 20; self->count++) {
		worker_yield(self);
		CHECK_EQ(write(fds[1], "x", 1), 1);
		nap(1000);
		CHECK_EQ(read(fds[0], &c, 1), 1);
	}
}

static void busy_tracee(void *arg)
{
	static struct worker workers[2];

	(void)arg;
	CHECK_EQ(ptrace(PTRACE_TRACEME, 0, 0, 0), 0);
	raise(SIGSTOP);
	CHECK_EQ(pipe(fds), 0);
	server_register(&s, &pool);
	for (int i = 0; i < 2; i++)
		worker_start(&workers[i], &pool, busy, NULL);
	server_loop(&s);
	for (int i = 0; i < 2; i++)
		worker_join(&workers[i]);
}

/* Like strace -f: every thread stops at every system call. */
static void strace(void)
{
	pid_t pid = child_start(busy_tracee, NULL);
	long stops = 0;
	int status;

	wait_stop(pid);
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, pid, 0,
			PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE), 0);
	CHECK_EQ(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		int sig = 0;

		CHECK(tid > 0);
		if (!WIFSTOPPED(status)) {
			if (tid == pid)
				break;
			continue;
		}
		stops++;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80) && status >> 16 == 0 &&
		    WSTOPSIG(status) != SIGSTOP)
			sig = WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, tid, 0, sig);
	}
	CHECK_EQ(status, 0);
	CHECK(stops > 200);
}

int main(void)
{
	raw_start();
	sh = map_pages(1, MAP_SHARED);
	RUN(each_state);
	RUN(strace);
	return 0;
}
