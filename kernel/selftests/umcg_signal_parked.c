// SPDX-License-Identifier: MIT
/*
 * Signals to workers without a server, in every place where one parks: the handler
 * runs at once, unmanaged, and afterwards the worker is where it was, with the
 * same word.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w;
static int fds[2];
static volatile bool go;

static volatile long handled;
static volatile uint32_t state_in_handler;
static volatile pid_t handled_by;
static void (*volatile in_handler)(void);

static void on_signal(int sig)
{
	(void)sig;
	handled_by = gettid();
	state_in_handler = state_of(&w.rec);
	if (in_handler)
		in_handler();
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

/* --- the places --- */

static void yields(struct worker *self)
{
	worker_yield(self);
	self->count = 1;
}

static void reads(struct worker *self)
{
	char c;

	CHECK_EQ(read(fds[0], &c, 1), 1);
	self->count = 1;
}

static void spins(struct worker *self)
{
	while (!go)
		;
	self->count = 1;
}

/* Far in the future: what matters is that it is a timed wait. */
static void waits(struct worker *self)
{
	CHECK_EQ(worker_park(self, NULL, now_ns(CLOCK_MONOTONIC) + 3600 * NS_PER_S), 0);
	self->count = 1;
}

static volatile int wait_result;
static volatile uint64_t wait_ns, deadline;

static void waits_until(struct worker *self)
{
	deadline = now_ns(CLOCK_MONOTONIC) + wait_ns;
	wait_result = worker_park(self, NULL, deadline);
	self->count = 1;
}

static void *preempts(void *arg)
{
	(void)arg;
	/* Again, if it has blocked with the mark: a first touch of a page. */
	while (state_of(&w.rec) != (IDLE | PREEMPTED)) {
		if (worker_mark(&w))
			sys_kick(0, w.tid);
		usleep(500);
	}
	return NULL;
}

static void never_run(void)
{
	worker_start(&w, &pool, spins, NULL);
	WAIT_FOR(state_of(&w.rec) == IDLE && worker_on_list(&w));
}

static void in_wait(void)
{
	never_run();
	w.fn = yields;
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), IDLE);
}

static void in_timed_wait(void)
{
	never_run();
	w.fn = waits;
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), IDLE | PARKED);
}

static void finish(void);

/* Woken in time, but nobody has run it; then its time is up. */
static void woken_in_timed_wait(void)
{
	for (wait_ns = 50 * NS_PER_MS;; wait_ns *= 2) {
		never_run();
		w.fn = waits_until;
		server_expect(&s, &w);
		if (server_run_through(&s, &w) == (IDLE | PARKED)) {
			w.rec.next_tid = 0;
			if (state_cas(&w.rec, IDLE | PARKED, RUNNING))
				break;
		}
		/* This machine is so busy that the time was up before. */
		finish();
	}
	s.rec.next_tid = (uint32_t)w.tid;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	WAIT_FOR(state_of(&w.rec) == IDLE && worker_on_list(&w));
	while (now_ns(CLOCK_MONOTONIC) <= deadline)
		nap(NS_PER_MS);
}

static void has_blocked(void)
{
	never_run();
	w.fn = reads;
	server_expect(&s, &w);
	server_run(&s, &w);
	while (worker_on_list(&w))	/* before its read */
		server_run(&s, server_next(&s));
	CHECK_STATE(&w.rec, BLOCKED);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	WAIT_FOR(state_of(&w.rec) == IDLE && worker_on_list(&w));
}

static void preempted(void)
{
	pthread_t t;

	never_run();
	server_expect(&s, &w);
	t = spawn(preempts, NULL);
	CHECK_EQ(server_run_through(&s, &w), IDLE | PREEMPTED);
	join(t);
}

static void preempted_on_the_list(void)
{
	pthread_t t;

	worker_options = 0;
	never_run();
	worker_options = KEEP_PREEMPTED;
	server_expect(&s, &w);
	t = spawn(preempts, NULL);
	do
		server_run(&s, &w);
	while (state_of(&w.rec) != (IDLE | PREEMPTED) && server_expect(&s, &w));
	join(t);
	CHECK(worker_on_list(&w));
}

static const struct place {
	const char *name;
	void (*come)(void);
} places[] = {
#define PLACE(fn) { #fn, fn }
	PLACE(never_run),
	PLACE(in_wait),
	PLACE(in_timed_wait),
	PLACE(woken_in_timed_wait),
	PLACE(has_blocked),
	PLACE(preempted),
	PLACE(preempted_on_the_list),
};

static void finish(void)
{
	go = true;
	while (state_of(&w.rec) != NONE) {
		if (state_of(&w.rec) == BLOCKED || worker_on_list(&w))
			server_expect(&s, &w);
		server_run_through(&s, &w);
	}
	worker_join(&w);
	CHECK_EQ(w.count, 1);
	pool.live--;
	CHECK_EQ(pool.head, 0);
	go = false;
}

/* In each place: @fn, then the worker is run to its end. */
static void everywhere(void (*fn)(void))
{
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		dprintf(STDOUT_FILENO, "    %s\n", places[i].name);
		places[i].come();
		WAIT_FOR(asleep(w.tid));
		fn();
		in_handler = NULL;
		finish();
	}
}

/* --- what is done to them --- */

/* Does @what and looks whether the worker is as before afterwards. */
static void unchanged_by(void (*what)(void))
{
	struct umcg_task before = w.rec;
	uint64_t head = pool.head;

	what();
	WAIT_FOR(asleep(w.tid));
	CHECK_EQ(memcmp(&before, &w.rec, sizeof(before)), 0);
	CHECK_EQ(pool.head, head);
	CHECK_EQ(s.rec.state_ts & UMCG_TASK_STATE_MASK_FULL, RUNNING);
}

static void ten_signals(void)
{
	for (int i = 1; i <= 10; i++) {
		handler(SIGUSR1, i & 1 ? SA_RESTART : 0);
		send(SIGUSR1);
		WAIT_FOR(handled == 1);
		CHECK_EQ(handled_by, w.tid);
		CHECK_EQ(state_in_handler & UMCG_TASK_STATE_MASK, IDLE);
		WAIT_FOR(asleep(w.tid));
	}
	handler(SIGRTMIN, 0);
	for (int i = 0; i < 10; i++)
		send(SIGRTMIN);		/* these queue, and nest or not */
	WAIT_FOR(handled == 10);
}

static void handlers(void) { unchanged_by(ten_signals); }

static void once(void)
{
	handler(SIGUSR1, SA_RESETHAND);
	send(SIGUSR1);
	WAIT_FOR(handled == 1);
}

static void reset_hand(void) { unchanged_by(once); }

static void siginfo(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	CHECK_EQ(info->si_code, SI_USER);
	CHECK_EQ(info->si_pid, getpid());
	handled_by = gettid();
	handled++;
}

/* No other task will take it, so it is the worker's. */
static void process_signals(void)
{
	struct sigaction sa = { .sa_sigaction = siginfo, .sa_flags = SA_SIGINFO };
	sigset_t usr2;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	CHECK_EQ(sigaction(SIGUSR2, &sa, NULL), 0);
	handled = 0;
	CHECK_EQ(sigprocmask(SIG_BLOCK, &usr2, NULL), 0);
	for (int i = 1; i <= 5; i++) {
		CHECK_EQ(kill(getpid(), SIGUSR2), 0);
		WAIT_FOR(handled == i);
		CHECK_EQ(handled_by, w.tid);
	}
	CHECK_EQ(sigprocmask(SIG_UNBLOCK, &usr2, NULL), 0);
}

static void to_the_process(void) { unchanged_by(process_signals); }

static void set_group(void)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(setgid(getgid()), 0);
}

/* The C library's: a signal to each thread, and a wait until each has handled it. */
static void set_ids(void) { unchanged_by(set_group); }

static void stop_and_continue(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		kill(getppid(), SIGSTOP);
		usleep(20000);
		kill(getppid(), SIGCONT);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void stops(void) { unchanged_by(stop_and_continue); }

/* As collectors stop threads: the handler waits in sigsuspend() for another signal. */
static void suspends(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGUSR2);
	sigsuspend(&all);
}

static volatile long resumed;

static void on_resume(int sig)
{
	(void)sig;
	resumed++;
}

static void stop_the_world(void)
{
	struct sigaction sa = { .sa_handler = on_resume };

	CHECK_EQ(sigaction(SIGUSR2, &sa, NULL), 0);
	for (int i = 1; i <= 3; i++) {
		in_handler = suspends;
		handled_by = 0;
		handler(SIGUSR1, SA_RESTART);
		resumed = 0;
		send(SIGUSR1);
		WAIT_FOR(handled_by && asleep(w.tid));
		usleep(1000);
		CHECK_EQ(handled, 0);
		send(SIGUSR2);
		WAIT_FOR(handled == 1);
		CHECK_EQ(resumed, 1);
	}
}

static void nested(void) { unchanged_by(stop_the_world); }

static sigjmp_buf env;

static void on_inner(int sig)
{
	(void)sig;
	siglongjmp(env, 1);
}

static void leaves_the_inner_one(void)
{
	if (!sigsetjmp(env, 1))
		raise(SIGUSR2);
}

static void jump(void)
{
	struct sigaction sa = { .sa_handler = on_inner };

	CHECK_EQ(sigaction(SIGUSR2, &sa, NULL), 0);
	in_handler = leaves_the_inner_one;
	handler(SIGUSR1, 0);
	send(SIGUSR1);
	WAIT_FOR(handled == 1);
}

static void longjmp_inside(void) { unchanged_by(jump); }

/* --- a server runs it while its handler runs --- */

static volatile bool handler_goes;

static void spins_in_handler(void)
{
	while (!handler_goes)
		;
}

static void naps_in_handler(void)
{
	while (!handler_goes)
		nap(NS_PER_MS);
}

/* The worker enters its handler. */
static void enter_handler(void (*how)(void))
{
	in_handler = how;
	handler_goes = false;
	handled_by = 0;
	handler(SIGUSR1, 0);
	send(SIGUSR1);
	WAIT_FOR(handled_by);
}

/* ... and is in our hands. */
static void hold_in_handler(void (*how)(void))
{
	enter_handler(how);
	if (worker_on_list(&w))
		server_expect(&s, &w);
}

/* It leaves its handler, and is back on the list. */
static void leave_handler(void)
{
	handler_goes = true;
	WAIT_FOR(handled == 1);
	WAIT_FOR((state_of(&w.rec) & UMCG_TASK_STATE_MASK) == IDLE);
	CHECK(worker_on_list(&w));
}

/* It has blocked, as far as its server can tell; it comes back when it is done. */
static void run_in_handler(void (*how)(void))
{
	hold_in_handler(how);
	server_run(&s, &w);
	CHECK_EQ(state_of(&w.rec) & UMCG_TASK_STATE_MASK, BLOCKED);
	CHECK_EQ(handled, 0);
	leave_handler();
	CHECK_EQ(w.count, 0);
}

static void run_while_it_spins(void) { run_in_handler(spins_in_handler); }
static void run_while_it_naps(void) { run_in_handler(naps_in_handler); }

/* The same, but by another worker that swaps to it: the server gets the place. */
static void swaps(struct worker *self)
{
	worker_swap(self, &w);
	self->count = 1;
}

static void swapped_to(void)
{
	static struct worker other;

	hold_in_handler(naps_in_handler);
	worker_start(&other, &pool, swaps, NULL);
	server_expect(&s, &other);
	do
		server_run(&s, &other);
	while (s.current == &other && server_expect(&s, &other));
	CHECK_EQ(state_of(&w.rec) & UMCG_TASK_STATE_MASK, BLOCKED);
	CHECK_STATE(&other.rec, IDLE);
	CHECK_EQ(server_run_through(&s, &other), NONE);
	worker_join(&other);
	pool.live--;
	leave_handler();
}

/* User space has run it, but no task has switched to it yet, when it comes back. */
static void run_half(void)
{
	hold_in_handler(naps_in_handler);
	server_start_run(&s, &w);
	handler_goes = true;
	WAIT_FOR(handled == 1);
	go = true;
	server_wait(&s);
	go = false;
}

/* --- its own time --- */

static void naps_long(void)
{
	nap(60 * NS_PER_MS);
}

/* Handlers neither end nor prolong a wait, not even one that lasts longer. */
static void timeout(void)
{
	for (int longer = 0; longer < 2; longer++) {
		in_handler = longer ? naps_long : NULL;
		handler(SIGUSR1, 0);
		wait_ns = 30 * NS_PER_MS;
		worker_start(&w, &pool, waits_until, NULL);
		server_expect(&s, &w);
		CHECK_EQ(server_run_through(&s, &w), IDLE | PARKED);
		for (int i = 0; i < 5; i++) {
			if (!longer || !i)
				send(SIGUSR1);
			usleep(2000);
		}
		server_expect(&s, &w);
		CHECK(now_ns(CLOCK_MONOTONIC) >= deadline);
		/* On a slow machine its time is up before the first signal comes. */
		WAIT_FOR(handled);
		CHECK_EQ(server_run_through(&s, &w), NONE);
		CHECK_EQ(wait_result, -ETIMEDOUT);
		worker_join(&w);
		pool.live--;
	}
	in_handler = NULL;
}

/* --- what a handler may do --- */

static void ends_thread(void)
{
	syscall(SYS_exit, 0);
}

/* No server is waited for. On the list, what takes it finds NONE. */
static void exit_in_handler(void)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		dprintf(STDOUT_FILENO, "    %s\n", places[i].name);
		places[i].come();
		WAIT_FOR(asleep(w.tid));
		in_handler = ends_thread;
		handler(SIGUSR1, 0);
		send(SIGUSR1);
		worker_join(&w);
		CHECK_EQ(state_of(&w.rec) & UMCG_TASK_STATE_MASK, NONE);
		pool.head = 0;
		pool.live--;
		in_handler = NULL;
	}
}

static void leaves(void)
{
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	syscall(SYS_exit, 0);
}

static void unregister_in_handler(void)
{
	in_wait();
	WAIT_FOR(asleep(w.tid));
	in_handler = leaves;
	handler(SIGUSR1, 0);
	send(SIGUSR1);
	worker_join(&w);
	CHECK_STATE(&w.rec, IDLE);
	pool.live--;
	in_handler = NULL;
}

/* To ask for a server: the rest of the handler is managed. */
static void asks_for_a_server(void)
{
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&w.rec, RUNNING);
	worker_nap(&w);
	CHECK_STATE(&w.rec, RUNNING);
}

static void wait_in_handler(void)
{
	go = true;
	enter_handler(asks_for_a_server);
	WAIT_FOR(asleep(w.tid));
	CHECK_EQ(handled, 0);
	CHECK_EQ(state_of(&w.rec) & UMCG_TASK_STATE_MASK, IDLE);
	if (worker_on_list(&w))
		server_expect(&s, &w);
	server_run(&s, &w);
	while (!handled) {
		CHECK_EQ(s.current, &w);
		server_run(&s, server_next(&s));
	}
}

static struct umcg_task peer;
static volatile pid_t peer_tid;
static volatile bool peer_up;

static void *peer_waits(void *arg)
{
	(void)arg;
	basic_register(&peer);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		state_set(&peer, RUNNING, IDLE);
		peer_up = false;
		peer_tid = gettid();
		basic_wait(&peer);
		peer_up = true;
		WAIT_FOR(!peer_tid);
	}
	return NULL;
}

/* With its own next_tid, so LOCKED: what would run it waits that long. */
static void wakes_the_peer(void)
{
	uint32_t st = state_of(&w.rec), next;

	CHECK_EQ(st & LOCKED, 0);
	state_set(&w.rec, st, st | LOCKED);
	next = w.rec.next_tid;
	CHECK(basic_wake(&w.rec, &peer, peer_tid));
	w.rec.next_tid = next;
	state_set(&w.rec, st | LOCKED, st);
}

static void wake_in_handler(void)
{
	WAIT_FOR(peer_tid && asleep(peer_tid));
	in_handler = wakes_the_peer;
	handler(SIGUSR1, 0);
	send(SIGUSR1);
	WAIT_FOR(handled == 1 && peer_up);
	WAIT_FOR(asleep(w.tid));
	CHECK_EQ(state_of(&w.rec) & UMCG_TASK_STATE_MASK, IDLE);
	peer_tid = 0;
}

static void jumps_out(void)
{
	siglongjmp(env, 1);
}

static void waits_for_a_jump(struct worker *self)
{
	if (!sigsetjmp(env, 1)) {
		worker_yield(self);
		FAIL("the wait has ended");
	}
	/* No task has run us. */
	CHECK_STATE(&self->rec, IDLE);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&self->rec, RUNNING);
	self->count = 1;
}

/* A thread that leaves a handler by longjmp() has no server, and asks for one. */
static void longjmp_outside(void)
{
	never_run();
	w.fn = waits_for_a_jump;
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), IDLE);
	WAIT_FOR(asleep(w.tid));
	enter_handler(jumps_out);
	WAIT_FOR(asleep(w.tid));
	in_handler = NULL;
	finish();
}

/* --- BLOCKED --- */

static volatile int read_result;

static void reads_once(struct worker *self)
{
	char c;
	int r = read(fds[0], &c, 1);

	read_result = r < 0 ? -errno : r;
	self->count = 1;
}

/* The handler does not wait for a server; what comes of the system call does. */
static void while_blocked(void)
{
	for (int restart = 0; restart < 2; restart++) {
		handler(SIGUSR1, restart ? SA_RESTART : 0);
		worker_start(&w, &pool, reads_once, NULL);
		server_expect(&s, &w);
		server_run(&s, &w);
		while (worker_on_list(&w))
			server_run(&s, server_next(&s));
		CHECK_STATE(&w.rec, BLOCKED);
		WAIT_FOR(asleep(w.tid));
		send(SIGUSR1);
		WAIT_FOR(handled == 1);
		CHECK_STATE(&w.rec, IDLE);
		server_expect(&s, &w);
		if (restart) {
			server_run(&s, &w);
			CHECK_STATE(&w.rec, BLOCKED);
			CHECK_EQ(write(fds[1], "x", 1), 1);
			server_expect(&s, &w);
		}
		CHECK_EQ(server_run_through(&s, &w), NONE);
		CHECK_EQ(read_result, restart ? 1 : -EINTR);
		CHECK_EQ(handled, 1);
		worker_join(&w);
		pool.live--;
	}
}

#define EVERYWHERE(fn) (raw_note(#fn), everywhere(fn))

int main(void)
{
	pthread_t t;

	raw_start();
	CHECK_EQ(pipe(fds), 0);
	server_register(&s, &pool);
	EVERYWHERE(handlers);
	EVERYWHERE(reset_hand);
	EVERYWHERE(to_the_process);
	EVERYWHERE(set_ids);
	EVERYWHERE(stops);
	EVERYWHERE(nested);
	EVERYWHERE(longjmp_inside);
	EVERYWHERE(run_while_it_spins);
	EVERYWHERE(run_while_it_naps);
	EVERYWHERE(swapped_to);
	EVERYWHERE(run_half);
	EVERYWHERE(wait_in_handler);
	t = spawn(peer_waits, NULL);
	EVERYWHERE(wake_in_handler);
	join(t);
	RUN(timeout);
	RUN(exit_in_handler);
	RUN(unregister_in_handler);
	RUN(longjmp_outside);
	RUN(while_blocked);
	server_unregister(&s);
	return 0;
}
