// SPDX-License-Identifier: MIT
/*
 * Signals to workers that hold them (UMCG_CTL_HOLD_SIGNALS). IDLE: pending until a
 * server runs it. BLOCKED: the system call is interrupted, the worker comes to the
 * idle list like any that has blocked, and its handler waits for a server. The C
 * library's own signals are not held.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w;
static int fds[2];
static volatile long handled;
static volatile int handler_naps;

static void on_signal(int sig)
{
	(void)sig;
	CHECK_EQ(gettid(), w.tid);
	CHECK_STATE(&w.rec, RUNNING);
	if (handler_naps)
		nap(NS_PER_MS);
	handled++;
}

static void handler(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	CHECK_EQ(sigaction(sig, &sa, NULL), 0);
	handled = 0;
}

static void send(int sig)
{
	CHECK_EQ(syscall(SYS_tgkill, getpid(), w.tid, sig), 0);
}

/* Does /proc say that @sig is pending for the worker? */
static bool pending(int sig)
{
	char buf[4096], *line = strstr(task_file(w.tid, "status", buf, sizeof(buf)), "SigPnd:");
	unsigned long long mask;

	CHECK(line && sscanf(line, "SigPnd: %llx", &mask) == 1);
	return mask >> (sig - 1) & 1;
}

static void end(void)
{
	while (server_run_through(&s, &w) != NONE)
		;
	worker_join(&w);
	pool.live--;
}

static void yields(struct worker *self)
{
	for (; self->count < 3; self->count++)
		worker_yield(self);
}

/* IDLE, both on the list and in umcg_wait. */
static void idle(void)
{
	handler(SIGUSR1, 0);
	handler(SIGRTMIN, SA_RESTART);
	for (int on_list = 0; on_list < 2; on_list++) {
		worker_start(&w, &pool, yields, NULL);
		if (!on_list) {
			server_expect(&s, &w);
			CHECK_EQ(server_run_through(&s, &w), IDLE);
		}
		WAIT_FOR(state_of(&w.rec) == IDLE && asleep(w.tid));
		handled = 0;
		send(SIGUSR1);
		send(SIGUSR1);		/* merges with the first */
		for (int i = 0; i < 5; i++)
			send(SIGRTMIN);	/* these queue */
		usleep(5000);
		CHECK_EQ(handled, 0);
		CHECK_STATE(&w.rec, IDLE);
		CHECK(pending(SIGUSR1));
		CHECK(pending(SIGRTMIN));
		/* Asleep, not spinning with a signal it may not take. */
		WAIT_FOR(asleep(w.tid));
		if (on_list)
			server_expect(&s, &w);
		CHECK_EQ(server_run_through(&s, &w), IDLE);
		CHECK_EQ(handled, 6);
		CHECK(!pending(SIGUSR1));
		end();
	}
}

static void reads(struct worker *self)
{
	char c;
	int r = read(fds[0], &c, 1);

	self->count = r == 1 ? 1 : -errno;
}

static void blocked(int flags, int want)
{
	CHECK_EQ(pipe(fds), 0);
	handler(SIGUSR1, flags);
	worker_start(&w, &pool, reads, NULL);
	server_expect(&s, &w);
	server_run(&s, &w);
	CHECK_STATE(&w.rec, BLOCKED);
	WAIT_FOR(asleep(w.tid));
	send(SIGUSR1);
	server_expect(&s, &w);
	CHECK_STATE(&w.rec, IDLE);
	usleep(2000);
	CHECK_EQ(handled, 0);
	if (want == 1) {
		/* The handler, then the restarted read blocks again. */
		server_run(&s, &w);
		CHECK_STATE(&w.rec, BLOCKED);
		CHECK_EQ(handled, 1);
		CHECK_EQ(write(fds[1], "x", 1), 1);
		server_expect(&s, &w);
	}
	end();
	CHECK_EQ(handled, 1);
	CHECK_EQ(w.count, want);
	close(fds[0]);
	close(fds[1]);
}

static void blocked_restart(void) { blocked(SA_RESTART, 1); }
static void blocked_eintr(void) { blocked(0, -EINTR); }

/* A handler may block itself. */
static void handler_blocks(void)
{
	handler_naps = 1;
	blocked(0, -EINTR);
	handler_naps = 0;
}

static void spins(struct worker *self)
{
	self->count = 1;
	while (!handled)
		;
	self->count = 2;
}

static void *sender(void *arg)
{
	(void)arg;
	WAIT_FOR(w.count == 1);
	send(SIGUSR1);
	return NULL;
}

static void running(void)
{
	pthread_t t;

	handler(SIGUSR1, 0);
	worker_start(&w, &pool, spins, NULL);
	server_expect(&s, &w);
	t = spawn(sender, NULL);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 2);
	join(t);
	worker_join(&w);
	pool.live--;
}

static volatile int trap_count;

static void on_trap(int sig)
{
	(void)sig;
	trap_count++;
}

static void traps(struct worker *self)
{
	for (; self->count < 50; self->count++) {
		__asm__ volatile("int3");
		CHECK_EQ(raise(SIGTRAP), 0);
		CHECK_STATE(&self->rec, RUNNING);
	}
}

/* What a worker does to itself is handled on the spot. */
static void own_faults(void)
{
	signal(SIGTRAP, on_trap);
	worker_start(&w, &pool, traps, NULL);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(trap_count, 100);
	worker_join(&w);
	pool.live--;
}

/* A signal between the server's decision to run and the run. */
static void storm(void)
{
	long sent = 0;

	handler(SIGRTMIN, SA_RESTART);
	worker_start(&w, &pool, yields, NULL);
	server_expect(&s, &w);
	w.count = -500;
	for (int i = 0; w.count < 3; i++) {
		if (w.count < 2 && i % 3) {
			send(SIGRTMIN);
			sent++;
		}
		if (server_run_through(&s, &w) == NONE)
			break;
	}
	CHECK_EQ(handled, sent);
	worker_join(&w);
	pool.live--;
}

static volatile pid_t handled_by;

static void on_process_signal(int sig)
{
	(void)sig;
	handled_by = gettid();
	handled++;
}

/*
 * A signal to the process: any thread may take it, only an idle worker may not.
 * If no other task will it waits for the worker, and is not lost.
 */
static void to_the_process(void)
{
	struct sigaction sa = { .sa_handler = on_process_signal };
	sigset_t usr2;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	CHECK_EQ(sigaction(SIGUSR2, &sa, NULL), 0);
	handled = 0;
	worker_start(&w, &pool, yields, NULL);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), IDLE);
	WAIT_FOR(asleep(w.tid));
	for (int i = 1; i <= 20; i++) {
		CHECK_EQ(kill(getpid(), SIGUSR2), 0);
		WAIT_FOR(handled == i);
		CHECK_EQ(handled_by, s.tid);
		CHECK_STATE(&w.rec, IDLE);
	}
	CHECK_EQ(sigprocmask(SIG_BLOCK, &usr2, NULL), 0);
	CHECK_EQ(kill(getpid(), SIGUSR2), 0);
	usleep(5000);
	CHECK_EQ(handled, 20);
	CHECK_STATE(&w.rec, IDLE);
	WAIT_FOR(asleep(w.tid));
	CHECK_EQ(server_run_through(&s, &w), IDLE);
	CHECK_EQ(handled, 21);
	CHECK_EQ(handled_by, w.tid);
	CHECK_EQ(sigprocmask(SIG_UNBLOCK, &usr2, NULL), 0);
	end();
	CHECK_EQ(handled, 21);
}

/* setgid() signals every thread and waits until each has handled it. */
static void not_held(void)
{
	for (int on_list = 0; on_list < 2; on_list++) {
		worker_start(&w, &pool, yields, NULL);
		if (!on_list) {
			server_expect(&s, &w);
			CHECK_EQ(server_run_through(&s, &w), IDLE);
		}
		WAIT_FOR(state_of(&w.rec) == IDLE && asleep(w.tid));
		CHECK_EQ(setgid(getgid()), 0);
		CHECK_STATE(&w.rec, IDLE);
		if (on_list)
			server_expect(&s, &w);
		end();
	}
}

int main(void)
{
	raw_start();
	worker_options |= HOLD_SIGNALS;
	server_register(&s, &pool);
	RUN(idle);
	RUN(blocked_restart);
	RUN(blocked_eintr);
	RUN(handler_blocks);
	RUN(running);
	RUN(own_faults);
	RUN(storm);
	RUN(to_the_process);
	RUN(not_held);
	server_unregister(&s);
	return 0;
}
