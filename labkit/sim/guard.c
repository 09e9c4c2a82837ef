// SPDX-License-Identifier: MIT
/*
 * In a process of its own a policy may do what it likes: a crash or a call that
 * does not come back ends the process with a report. The handlers run on a stack
 * of their own, for the policy may have used up the other.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <umcg-host.h>

#include "internal.h"

#define TICKS_A_SECOND	10
#define CODE_CRASHED	3
#define CODE_STUCK	4
#define HANDLER_STACK	(256 * 1024)

static struct sim *guarded;
static int report_fd, tell_fd;
static pid_t parent;
static uint64_t limit, seen, ticks;	/* in ticks; calls that were seen, and for how long */
static volatile sig_atomic_t reporting;
static sigjmp_buf dump_failed;
static char stack[HANDLER_STACK];

static void write_report(int code)
{
	const char *text = guarded->report;
	size_t left = strlen(text);

	while (left) {
		ssize_t n = write(report_fd, text, left);

		if (n <= 0)
			break;
		text += n;
		left -= (size_t)n;
	}
	/* What happened up to here is worth a look. */
	sim_rows_flush(&guarded->rows);
	_exit(code);
}

/* The policy may crash or hang again while it dumps: the report ends there. */
static void report(enum umcg_fault fault, const char *more, int code)
{
	const char *call = guarded->call;

	reporting = 1;
	ticks = 0;
	if (!sigsetjmp(dump_failed, 1)) {
		if (call)
			sim_blame(guarded, guarded->call_about, "%s%s, in %s()",
				  umcg_fault_text(fault), more, call);
		else
			sim_blame(guarded, NULL, "%s%s outside of its functions (it wrote where it "
				  "must not)", umcg_fault_text(fault), more);
	}
	write_report(code);
}

static void crashed(int number)
{
	static const struct { int number; const char *name; } names[] = {
		{ SIGSEGV, " (SIGSEGV: it used memory that is not there)" },
		{ SIGBUS, " (SIGBUS: it used memory that is not there)" },
		{ SIGFPE, " (SIGFPE: it divided by zero)" },
		{ SIGILL, " (SIGILL: undefined behaviour)" }, { SIGABRT, " (SIGABRT)" },
		{ SIGTRAP, " (SIGTRAP: undefined behaviour)" },
	};
	const char *name = "";

	if (reporting)
		siglongjmp(dump_failed, 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].number == number)
			name = names[i].name;
	report(UMCG_FAULT_CRASHED, name, CODE_CRASHED);
}

static void tick(int number)
{
	struct sim_progress progress = { guarded->s.now_ns, guarded->done.events };

	(void)number;
	if (getppid() != parent)
		_exit(1);
	if (reporting) {
		if (++ticks > TICKS_A_SECOND)
			siglongjmp(dump_failed, 1);
		return;
	}
	if (tell_fd >= 0 && write(tell_fd, &progress, sizeof(progress)) < 0)
		tell_fd = -1;
	if (!guarded->call || guarded->calls != seen) {
		seen = guarded->calls;
		ticks = 0;
	} else if (++ticks >= limit) {
		report(UMCG_FAULT_STUCK, "", CODE_STUCK);
	}
}

static void ended(int number)
{
	(void)number;
	sim_stop(guarded);
}

static bool handle(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK | flags };

	sigemptyset(&action.sa_mask);
	return !sigaction(number, &action, NULL);
}

bool sim_guard(struct sim *sim, double seconds, int fd, int tell, int its_parent)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP };
	stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct itimerval timer = {
		.it_interval.tv_usec = 1000000 / TICKS_A_SECOND,
		.it_value.tv_usec = 1000000 / TICKS_A_SECOND,
	};

	guarded = sim;
	report_fd = fd;
	tell_fd = tell;
	/* Asked of getppid() only now, it might be the process that adopted us: our parent may have ended already. */
	parent = its_parent;
	limit = (uint64_t)(seconds * TICKS_A_SECOND) + 1;
	if (sigaltstack(&own, NULL) || !handle(SIGALRM, tick, SA_RESTART | SA_NODEFER) ||
	    !handle(SIGTERM, ended, SA_RESTART))
		return false;
	for (size_t i = 0; i < sizeof(crashes) / sizeof(*crashes); i++)
		if (!handle(crashes[i], crashed, SA_NODEFER))
			return false;
	return !setitimer(ITIMER_REAL, &timer, NULL);
}

void sim_flush(void)
{
	fflush(NULL);
}
