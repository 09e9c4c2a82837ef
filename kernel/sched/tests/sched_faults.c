// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Policies that go wrong. Each must end in a report on stderr and through the
 * callback, within the watchdog's time, that names the thread, its last server and
 * what the policy says; and the program's threads must go on and end.
 */
#include <signal.h>
#include <sys/wait.h>

#include <umcg-queue.h>

#include "sched.h"

#define THREADS	4

/*
 * For ThreadSanitizer: the report of a policy that does not come back is read without the lock,
 * which that one holds; see get_out() in runtime/watch.c.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:report_policy\n";
}

enum how {
	WELL, LOSES, FORGETS, TWICE, NOT_READY, RUBBISH, CRASHES_NEXT, CRASHES_READY, CRASHES_STOPPED,
	CRASHES_SLICE, CRASHES_DUMP, RECURSES, SPINS, SLEEPS, PAUSES, STOPS, SAYS_ERROR,
	KICKS_WRONG,
};

static enum how how;
static struct umcg_sched *s;
static atomic_int calls;		/* of next() */
static atomic_bool done;

static struct umcg_list queue;		/* a test may have variables, a policy may not */
static struct umcg_sched_thread *kept;

static int *volatile nowhere = (int *)(uintptr_t)8;

static void crash(void)
{
	*nowhere = 1;
}

static int recurse(int depth);
static int (*volatile again)(int) = recurse;

static int recurse(int depth)
{
	volatile char much[4096];

	much[0] = (char)depth;
	return again(depth + 1) + much[0];
}

static void ready(struct umcg_sched *sched, struct umcg_sched_thread *t, enum umcg_why why)
{
	(void)why;
	if (calls > 20) {
		if (how == CRASHES_READY)
			crash();
		if (how == LOSES && !kept) {
			kept = t;
			return;
		}
		if (how == FORGETS && t->id == 0)
			return;
		if (how == SAYS_ERROR)
			umcg_error(sched, "thread %u is one too many", t->id);
		if (how == KICKS_WRONG)
			umcg_kick(sched, 77, UMCG_KICK_WAKE);
	}
	umcg_list_put(&queue, umcg_thread_data(t));
}

static struct umcg_sched_thread *next(struct umcg_sched *sched, uint32_t server)
{
	struct umcg_sched_thread *t;

	(void)server;
	if (++calls > 20) {
		switch (how) {
		case TWICE:
			for (uint32_t i = 0; i < sched->servers; i++)
				if (sched->running[i])
					return sched->running[i];
			break;
		case NOT_READY:
			if (kept && kept->state == UMCG_SCHED_BLOCKED)
				return kept;
			break;
		case RUBBISH:
			return (struct umcg_sched_thread *)(uintptr_t)0x1234;
		case CRASHES_NEXT:
		case CRASHES_DUMP:
			crash();
			break;
		case RECURSES:
			recurse(0);
			break;
		case SPINS:
			for (;;)
				__asm__ volatile("");
		case SLEEPS:
			for (;;)
				sleep(100);
		case PAUSES:
			/* Longer than the watchdog's time. */
			if (!done)
				sleep(4);
			done = true;
			break;
		case STOPS:
			if (!done) {
				uint64_t began;

				raise(SIGSTOP);
				for (began = umcg_get_time_ns(); umcg_get_time_ns() < began + 50 * MS; )
					;
			}
			done = true;
			break;
		default:
			break;
		}
	}
	t = umcg_thread_of(umcg_list_get(&queue));
	if (how == NOT_READY && t)
		kept = t;
	return t;
}

static void stopped(struct umcg_sched *sched, struct umcg_sched_thread *t, enum umcg_why why,
		    uint64_t ran_ns)
{
	(void)sched;
	(void)t;
	(void)why;
	(void)ran_ns;
	if (how == CRASHES_STOPPED && calls > 20)
		crash();
}

static uint64_t slice(struct umcg_sched *sched, struct umcg_sched_thread *t)
{
	(void)sched;
	(void)t;
	if (how == CRASHES_SLICE && calls > 20)
		crash();
	return MS;
}

static void dump(struct umcg_sched *sched)
{
	if (how == CRASHES_DUMP)
		crash();
	umcg_print(sched, "  the dump of %s, %u in the queue\n", sched->policy->name, queue.length);
}

/* A policy that may starve threads cannot have forgotten one. */
static int init(struct umcg_sched *sched)
{
	if (how == LOSES)
		sched->flags |= UMCG_MAY_STARVE;
	return 0;
}

UMCG_POLICY(wrong, .summary = "as the test wants it", .thread_size = sizeof(struct umcg_link),
	    .init = init, .ready = ready, .next = next, .stopped = stopped, .slice = slice, .dump = dump);

static struct umcg_sched_report seen;
static char text[32768];
static atomic_int faults;

static void fault(void *arg, const struct umcg_sched_report *report)
{
	(void)arg;
	seen = *report;
	snprintf(text, sizeof(text), "%s", report->text);
	faults++;
	done = true;
}

static void *body(void *arg)
{
	uint64_t me = (uint64_t)(intptr_t)arg;

	CHECK_CALL(umcg_sched_enter(s, NULL, me), 0);
	/* Until the fault is seen, and some rounds more: all go on. */
	for (int more = 0; more < 20; more += done) {
		for (volatile int i = 0; i < 5000; i++)
			;
		test_nap(me ? MS / 10 : MS / 2);
	}
	CHECK_CALL(umcg_sched_leave(), 0);
	return NULL;
}

/* Only these are the watchdog's to find. With the rest a machine may stand still for longer than it waits. */
static bool takes_time(void)
{
	return how == LOSES || how == FORGETS || how == SPINS || how == SLEEPS || how == PAUSES || how == STOPS;
}

static void open_wrong(uint32_t flags)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .own = &umcg_policy_wrong, .servers = 2, .fault = fault,
		.watchdog_ns = takes_time() ? 2000 * MS : UINT64_MAX, .flags = flags,
	};
	char why[UMCG_SENTENCE];

	s = umcg_sched_create(&config, why);
	CHECK(s, "%s", why);
	calls = 0;
	faults = 0;
	done = false;
	kept = NULL;
	queue = (struct umcg_list){ .length = 0 };
	CHECK_CALL(umcg_sched_start(s), 0);
}

static void contains(const char *part)
{
	CHECK(strstr(text, part), "no \"%s\" in:\n%s", part, text);
}

static void run(enum how way, enum umcg_fault wanted, bool names_thread, const char *part)
{
	pthread_t thread[THREADS];
	struct umcg_sched_stats stats;
	char tid[32];

	printf("way %d\n", way);
	how = way;
	open_wrong(0);
	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = test_spawn(body, (void *)i);
	for (int i = 0; i < THREADS; i++)
		test_join(thread[i]);
	umcg_sched_get_stats(s, &stats);
	CHECK(faults == 1 && stats.faults == 1, "%d faults", faults);
	/* Whether a server sleeps beside a lost thread, or others pass it, is chance. */
	if (way == FORGETS && seen.fault == UMCG_FAULT_PASSED)
		wanted = UMCG_FAULT_PASSED;
	CHECK(seen.fault == wanted, "fault %d, wanted %d:\n%s", seen.fault, wanted, text);
	contains(umcg_fault_text(wanted));
	contains("policy wrong");
	contains(part);
	contains("server 0");
	contains("server 1");
	contains("policy rr schedules");
	if (way != CRASHES_DUMP)
		contains("the dump of wrong");
	if (names_thread) {
		/* A thread that is just ready for the first time has had no server. */
		CHECK(seen.thread < THREADS && seen.tid > 0 && (seen.server < 2 || seen.server == UMCG_NO_SERVER),
		      "thread %u, tid %d, server %u", seen.thread, seen.tid, seen.server);
		snprintf(tid, sizeof(tid), "(tid %d", seen.tid);
		contains(tid);
	}
	sched_close(s);
}

/* With no handler to catch it the process ends, and says why it is the policy. */
static void dies(enum how way, uint32_t flags, int wanted)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0, "fork");
	if (!pid) {
		pthread_t thread;

		/* A sanitizer has a handler of its own, which ends the process another way. */
		signal(SIGSEGV, SIG_DFL);
		how = way;
		open_wrong(flags);
		for (intptr_t i = 0; i < THREADS; i++)
			thread = test_spawn(body, (void *)i);
		test_join(thread);
		_exit(99);
	}
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == wanted, "status %x, wanted signal %d", status, wanted);
}

/* A program that sees to it itself that the functions come back loses no policy for a long one. */
static void test_waits(void)
{
	pthread_t thread[THREADS];

	how = PAUSES;
	open_wrong(UMCG_SCHED_COMES_BACK | UMCG_SCHED_NO_HANDLER);
	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = test_spawn(body, (void *)i);
	for (int i = 0; i < THREADS; i++)
		test_join(thread[i]);
	CHECK(!faults, "%d faults:\n%s", faults, text);
	sched_close(s);
}

#define MANY	300

static void *end_one_by_one(void *arg)
{
	struct umcg_sched_stats stats = { 0 };
	uint64_t began;

	CHECK_CALL(umcg_sched_enter(s, NULL, (uint64_t)(intptr_t)arg), 0);
	/* The first waits for all others, so that they are ready at once. */
	while (!arg && stats.threads < MANY)
		umcg_sched_get_stats(s, &stats);
	for (began = umcg_get_time_ns(); umcg_get_time_ns() < began + MS; )
		;
	CHECK_CALL(umcg_sched_leave(), 0);
	return NULL;
}

/* The last of a long queue has waited for more turns than ten of each thread that is left: it is not lost. */
static void test_many_end(void)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .policy = "fifo", .servers = 1, .threads = MANY, .fault = fault,
		.watchdog_ns = 20 * MS, .flags = UMCG_SCHED_COMES_BACK,
	};
	pthread_t thread[MANY];
	struct umcg_sched_stats stats;

	faults = 0;
	s = umcg_sched_create(&config, NULL);
	CHECK(s, "umcg_sched_create");
	CHECK_CALL(umcg_sched_start(s), 0);
	thread[0] = test_spawn(end_one_by_one, NULL);
	do
		umcg_sched_get_stats(s, &stats);
	while (!stats.threads);
	for (intptr_t i = 1; i < MANY; i++)
		thread[i] = test_spawn(end_one_by_one, (void *)i);
	for (int i = 0; i < MANY; i++)
		test_join(thread[i]);
	CHECK(!faults, "%d faults:\n%s", faults, text);
	sched_close(s);
}

/*
 * Stopped in the middle of a call for longer than the watchdog waits, and for some time more on its
 * way: nothing is wrong with the policy.
 */
static void test_stopped(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0, "fork");
	if (!pid) {
		pthread_t thread;

		how = STOPS;
		open_wrong(0);
		thread = test_spawn(body, (void *)1);
		test_join(thread);
		sched_close(s);
		_exit(faults ? 1 : 0);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status), "it has stopped: %x", status);
	/* What is tested: so long a time. */
	test_nap(3000 * MS);
	CHECK_CALL(kill(pid, SIGCONT), 0);
	CHECK(waitpid(pid, &status, 0) == pid && !status, "status %x", status);
}

static volatile sig_atomic_t handled;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	handled = 1;
}

/* A program's own handler gets what is its own, while a scheduler is there and after. */
static void test_handler(void)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO }, old, now;

	CHECK_CALL(sigaction(SIGSEGV, &action, &old), 0);
	how = WELL;
	open_wrong(0);
	raise(SIGSEGV);
	CHECK(handled, "the handler was not called");
	sched_close(s);
	CHECK_CALL(sigaction(SIGSEGV, NULL, &now), 0);
	CHECK(now.sa_sigaction == on_segv, "the handler is not back");
	CHECK_CALL(sigaction(SIGSEGV, &old, NULL), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	run(LOSES, UMCG_FAULT_LOST, true, "ready since");
	run(FORGETS, UMCG_FAULT_LOST, true, "had it last");
	run(TWICE, UMCG_FAULT_TWICE, true, "has it");
	run(NOT_READY, UMCG_FAULT_NOT_READY, true, "blocked");
	run(RUBBISH, UMCG_FAULT_RUBBISH, false, "about no thread");
	run(CRASHES_NEXT, UMCG_FAULT_CRASHED, false, "signal 11, address 0x8) in next()");
	run(CRASHES_READY, UMCG_FAULT_CRASHED, true, "in ready()");
	run(CRASHES_STOPPED, UMCG_FAULT_CRASHED, true, "in stopped()");
	run(CRASHES_SLICE, UMCG_FAULT_CRASHED, true, "in slice()");
	run(CRASHES_DUMP, UMCG_FAULT_CRASHED, false, "crashed in dump()");
	run(RECURSES, UMCG_FAULT_CRASHED, false, "in next()");
	run(SPINS, UMCG_FAULT_STUCK, false, "in next(), called by umcg-server");
	run(SLEEPS, UMCG_FAULT_STUCK, false, "in next(), called by umcg-server");
	dies(SPINS, UMCG_SCHED_NO_HANDLER, SIGABRT);
	dies(CRASHES_NEXT, UMCG_SCHED_NO_HANDLER, SIGSEGV);
	run(SAYS_ERROR, UMCG_FAULT_ERROR, true, "is one too many");
	run(KICKS_WRONG, UMCG_FAULT_ERROR, true, "umcg_kick() of server 77 of 2");
	test_waits();
	/* ThreadSanitizer's run time has locks, which a worker may keep that waits for the one server. */
	if (TEST_PREEMPTS_INSIDE)
		test_many_end();
	test_stopped();
	test_handler();
	return 0;
}
