// SPDX-License-Identifier: MIT
/* System calls, checks and the time limit. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

static long result(long r)
{
	return r < 0 ? -errno : r;
}

int sys_ctl(uint32_t flags, struct umcg_task *self)
{
	return result(syscall(__NR_umcg_ctl, flags, self));
}

int sys_wait(uint32_t flags, uint64_t abs_timeout_ns)
{
	return result(syscall(__NR_umcg_wait, flags, abs_timeout_ns));
}

int sys_kick(uint32_t flags, pid_t tid)
{
	return result(syscall(__NR_umcg_kick, flags, tid));
}

void raw_fail(const char *file, int line, const char *fmt, ...)
{
	char msg[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	dprintf(STDOUT_FILENO, "%s:%d: %s\n", file, line, msg);
	_exit(1);
}

void raw_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdprintf(STDOUT_FILENO, fmt, ap);
	va_end(ap);
	dprintf(STDOUT_FILENO, "\n");
	_exit(77);
}

void raw_check_state(const char *file, int line, const char *what,
		     const struct umcg_task *t, uint32_t want)
{
	uint32_t is = state_of(t);
	char a[64], b[64];

	if (is != want)
		raw_fail(file, line, "state of %s is %s, expected %s", what,
			 state_name(is, a, sizeof(a)), state_name(want, b, sizeof(b)));
}

void raw_note(const char *what)
{
	dprintf(STDOUT_FILENO, "  %s\n", what);
}

static void dump_file(const char *pid, const char *tid, const char *name)
{
	char path[600], buf[2048];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/%s", pid, tid, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	n = read(fd, buf, sizeof(buf));
	if (n > 0)
		dprintf(STDOUT_FILENO, "    %s: %.*s", name, (int)n, buf);
	close(fd);
}

static void dump_threads(const char *pid)
{
	struct dirent *d;
	char path[300];
	int left = 16;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	dir = opendir(path);
	while (dir && left && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		left--;
		dprintf(STDOUT_FILENO, "  process %s thread %s\n", pid, d->d_name);
		dump_file(pid, d->d_name, "stat");
		dump_file(pid, d->d_name, "syscall");
		dump_file(pid, d->d_name, "stack");
	}
	if (dir)
		closedir(dir);
}

/* The test and its children, which share its process group. */
static void dump_group(pid_t group)
{
	struct dirent *d;
	DIR *dir = opendir("/proc");

	while (dir && (d = readdir(dir))) {
		pid_t pid = atoi(d->d_name);

		if (pid > 0 && getpgid(pid) == group)
			dump_threads(d->d_name);
	}
	if (dir)
		closedir(dir);
}

static pid_t test_pid;
static volatile sig_atomic_t late;

static void on_alarm(int sig)
{
	(void)sig;
	late = 1;
}

/* The parent's part of raw_start(). */
static void __attribute__((noreturn)) watch(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };	/* no SA_RESTART */
	const char *env = getenv("LIMIT");
	int limit = env ? atoi(env) : 60;
	int status;

	sigaction(SIGALRM, &sa, NULL);
	alarm(limit > 0 ? limit : 60);
	while (waitpid(test_pid, &status, 0) < 0) {
		if (errno == EINTR && late) {
			dprintf(STDOUT_FILENO, "time limit of %d s; where they are:\n", limit);
			dump_group(test_pid);
			kill(-test_pid, SIGKILL);
			_exit(1);
		}
	}
	kill(-test_pid, SIGKILL);	/* whatever the test left behind */
	if (WIFSIGNALED(status)) {
		dprintf(STDOUT_FILENO, "died of signal %d (%s)\n", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
		_exit(1);
	}
	_exit(WEXITSTATUS(status));
}

void raw_start(void)
{
	struct rlimit no_core = { 0, 0 };
	int version = sys_ctl(UMCG_CTL_VERSION, NULL);

	if (version == -ENOSYS)
		raw_skip("no UMCG in this kernel");
	CHECK_EQ(version, UMCG_ABI_VERSION);
	setrlimit(RLIMIT_CORE, &no_core);
	/* A shell that runs us in the background has these two ignored. */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	cpus();		/* before anything is pinned */
	test_pid = fork();
	CHECK(test_pid >= 0);
	if (test_pid) {
		setpgid(test_pid, test_pid);
		watch();
	}
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

long raw_number(int argc, char **argv, const char *env, long def)
{
	const char *s = argc > 1 ? argv[1] : getenv(env);
	char *end;
	long n;

	if (!s)
		return def;
	n = strtol(s, &end, 10);
	if (*end || n <= 0)
		FAIL("'%s' is no positive number (first argument or $%s)", s, env);
	return n;
}

pid_t child_start(void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(arg);
		_exit(0);
	}
	return pid;
}

int child_wait(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

int in_child(void (*fn)(void *arg), void *arg)
{
	return child_wait(child_start(fn, arg));
}

void check_dies(void (*fn)(void *arg), void *arg, int sig, const char *what)
{
	int status = in_child(fn, arg);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != sig)
		FAIL("%s: wait status 0x%x, expected death of signal %d", what, status, sig);
}

void await_death(void)
{
	sleep(10);
}

void check_exits(void (*fn)(void *arg), void *arg, int code, const char *what)
{
	int status = in_child(fn, arg);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		FAIL("%s: wait status 0x%x, expected exit code %d", what, status, code);
}
