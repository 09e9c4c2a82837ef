// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * With something to print at the end umcg-run stays, as a process that is seen as
 * little as possible: signals sent to it go to the program, it stops and goes on with
 * it, and ends as it does. If it is killed, so is the program.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "umcg-run.h"

/* Between two looks at a trace: a ring takes six million events a second. */
#define PAUSE_NS	5000000

static void start(const char *path, char **argv, pid_t parent, const sigset_t *mask)
{
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_NO_PROGRAM);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(path, argv);
	error = errno;
	die(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NO_PROGRAM, "%s: %s", path, strerror(error));
}

/* Has the program ended? Then *@status is how. */
static bool look(pid_t pid, int *status)
{
	if (waitpid(pid, status, WNOHANG | WUNTRACED) != pid)
		return false;
	if (!WIFSTOPPED(*status))
		return true;
	/* Stopped by the terminal: our parent sees that. By a kill(): the sender lets it go on, and not us. */
	if (WSTOPSIG(*status) != SIGSTOP) {
		raise(SIGSTOP);
		kill(pid, SIGCONT);
	}
	return false;
}

int run_beside(const char *path, char **argv, const struct meanwhile *meanwhile)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	sigset_t all, old;
	siginfo_t info;
	pid_t parent = getpid(), pid;
	int status;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid < 0)
		die(EXIT_NO_PROGRAM, "no process for %s: %s", path, strerror(errno));
	if (!pid)
		start(path, argv, parent, &old);
	for (;;) {
		int got = meanwhile->take ? sigtimedwait(&all, &info, &pause) : sigwaitinfo(&all, &info);

		if (meanwhile->take)
			meanwhile->take(meanwhile->shared);
		if (got < 0)
			continue;
		if (info.si_signo == SIGRTMAX && meanwhile->asked) {
			meanwhile->asked(meanwhile->shared);
		} else if (info.si_signo == SIGCHLD) {
			if (look(pid, &status))
				break;
		} else if (info.si_code != SI_KERNEL) {
			/* What a terminal sends goes to the program, too. */
			kill(pid, info.si_signo);
		}
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return status;
}

_Noreturn void end_like(int status)
{
	const struct rlimit none = { 0, 0 };
	sigset_t set;
	int sig;

	if (WIFEXITED(status))
		exit(WEXITSTATUS(status));
	fflush(NULL);
	sig = WTERMSIG(status);
	/* The program's own core is there already. */
	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	_exit(128 + sig);
}
