// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The command: what it prints, refuses, passes on, and leaves behind. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "same.h"

static struct same_result result;
static char me[4096];

/* umcg-run with @arguments, NULL at their end; what it printed is in @result. */
#define RUN(...)	same_start((char *const[]){ (char *)same_umcg_run(), __VA_ARGS__, NULL }, &result)
#define SAYS(text)	says(__LINE__, text)
#define ENDS(code)	ends(__LINE__, code)

static void says(int line, const char *text)
{
	if (strstr(result.out, text))
		return;
	printf("line %d: \"%s\" is missing in\n%s", line, text, result.out);
	exit(1);
}

static void ends(int line, int code)
{
	if (WIFEXITED(result.status) && WEXITSTATUS(result.status) == code)
		return;
	printf("line %d: status %#x instead of exit code %d\n%s", line, (unsigned int)result.status, code, result.out);
	exit(1);
}

/* The number in column @column (from 0) of the line of statistics that begins with TID @name. */
static long column_of(const char *name, int column)
{
	char *line, *save, copy[sizeof(result.out)], *word, *words;

	strcpy(copy, result.out);
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char tid[16], first[32];

		if (sscanf(line, "%15s %31s", tid, first) != 2 || strcmp(first, name) || !isdigit((unsigned char)*tid))
			continue;
		word = strtok_r(line, " ", &words);
		while (column-- && word)
			word = strtok_r(NULL, " ", &words);
		return word ? atol(word) : -1;
	}
	printf("no thread %s in\n%s", name, result.out);
	exit(1);
}

enum { NAME = 1, ENTRY, CLASS, TURNS, BLOCKED, PREEMPTED, EXPIRED, YIELDED };

/* ---- the programs that are run ---- */

/* One sleep may be over before it has begun, on a busy machine; not all of them. */
static void sleep_surely(void)
{
	for (int i = 0; i < 10; i++)
		usleep(1000);
}

static void *busy(void *arg)
{
	if (arg)
		pthread_setname_np(pthread_self(), arg);
	for (int i = 0; i < 20; i++)
		sched_yield();
	sleep_surely();
	return NULL;
}

static void *polite(void *arg)
{
	MUST(!setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10));
	prctl(PR_SET_NAME, "polite");
	sleep_surely();
	return arg;
}

static void join_all(pthread_t *threads, int n)
{
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static int threads_of_all_kinds(void)
{
	pthread_t threads[3];

	MUST(!pthread_create(&threads[0], NULL, busy, "first"));
	MUST(!pthread_create(&threads[1], NULL, busy, "io-1"));
	MUST(!pthread_create(&threads[2], NULL, polite, NULL));
	join_all(threads, 3);
	return 6;
}

static int end_suddenly(int how)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, busy, "brief"));
	pthread_join(thread, NULL);
	if (how)
		kill(getpid(), SIGKILL);
	_exit(21);
}

/* Replaced by a program with an environment of its own. */
static int exec_bare(void)
{
	execle(me, me, "kinds", NULL, (char *[]){ "LD_PRELOAD=", NULL });
	return 1;
}

static int fork_then_threads(void)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, busy, "parent"));
	pthread_join(thread, NULL);
	if (!fork()) {
		MUST(!pthread_create(&thread, NULL, busy, "child"));
		pthread_join(thread, NULL);
		_exit(0);
	}
	wait(NULL);
	return 0;
}

static void told(int sig)
{
	_exit(sig + 30);
}

static int await_signal(void)
{
	pthread_t thread;

	signal(SIGTERM, told);
	MUST(!pthread_create(&thread, NULL, busy, NULL));
	MUST(write(1, "ready\n", 6) == 6);
	for (;;)
		pause();
}

/* ---- the tests ---- */

static void statistics(void)
{
	RUN("--servers=1", "--stats", me, "kinds");
	ENDS(6);
	SAYS("3 threads");
	if (column_of("first", YIELDED) != 20 || column_of("io-1", YIELDED) != 20 || column_of("polite", YIELDED))
		MUST(!"yields are counted");
	if (column_of("first", BLOCKED) < 1 || column_of("polite", TURNS) < 2)
		MUST(!"turns are counted");
	SAYS("run_command+0x");
	/* Told or not that a thread has blocked, nobody misses that it yields. */
	RUN("--servers=1", "--pass-on", "--stats", me, "kinds");
	ENDS(6);
	MUST(column_of("first", YIELDED) == 20 && column_of("io-1", YIELDED) == 20 && !column_of("polite", YIELDED));
	RUN("--servers=2", "--stats", "--main", me, "kinds");
	ENDS(6);
	MUST(column_of("run_command", TURNS) >= 1);
	/* Whatever way it ends. */
	RUN("--stats", me, "_exit");
	ENDS(21);
	MUST(column_of("brief", YIELDED) == 20);
	RUN("--stats", me, "killed");
	MUST(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGKILL);
	MUST(column_of("brief", YIELDED) == 20);
	/* In children, and in programs that take their place. */
	RUN("--stats", me, "fork");
	ENDS(0);
	MUST(column_of("parent", YIELDED) == 20 && column_of("child", YIELDED) == 20);
	RUN("--stats", me, "bare");
	ENDS(6);
	MUST(column_of("first", YIELDED) == 20);
	RUN("--stats", "/bin/sh", "-c", "exit 5");
	ENDS(5);
}

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void classes(void)
{
	write_file("rules.toml",
		   "# who is what\n"
		   "[[class]]\n"
		   "name = \"io-*\"\nclass = 2\npriority = 7 # before others\ntenant = 3\n\n"
		   "[[class]]\norder = 1\nweight = 99\ndeadline_us = 1000\n"
		   "[[class]]\nnice = '5..19'\nclass = 4\n");
	RUN("--explain", "--stats", "--classes=rules.toml", me, "kinds");
	ENDS(6);
	MUST(column_of("io-1", CLASS) == 2 && column_of("first", CLASS) == 0 && column_of("polite", CLASS) == 4);
	SAYS("\"io-1\"");
	SAYS("class 2, priority 7, weight 1024, tenant 3; by the rule in line 2 of rules.toml");
	SAYS("weight 99, tenant 0, with a deadline; by the rule in line 8 of rules.toml");
	SAYS("nice 10, order 3): class 4, priority 0, weight 110, tenant 0; by the rule in line 12");
	RUN("--explain", me, "kinds");
	SAYS("nice 10, order 3): class 0, priority 0, weight 110, tenant 0; by its nice value: no rule matches");
}

static void wrong_rules(const char *text, const char *why)
{
	write_file("wrong.toml", text);
	RUN("--classes=wrong.toml", me, "kinds");
	ENDS(2);
	SAYS(why);
}

static void refusals(void)
{
	char copy[] = "/tmp/refused";

	wrong_rules("name = \"x\"\n", "wrong.toml:1: name stands before the first [[class]]");
	wrong_rules("[[class]]\nname = x\n", "wrong.toml:2: name needs a text in quotes");
	wrong_rules("[[class]]\nname = \"x\n", "wrong.toml:2: the quote after name is not closed");
	wrong_rules("[[class]]\nprio = 1\n", "there is no prio");
	wrong_rules("[[class]]\nnice = 20\n", "nice is -20 to 19");
	wrong_rules("[[class]]\nnice = \"5..2\"\n", "nice is 5 to 19");
	wrong_rules("[[class]]\ntenant = 256\n", "tenant is 0 to 255");
	wrong_rules("[class]\n", "the only tables are [[class]]");
	wrong_rules("[[class]]\nclass = 1 2\n", "there is something behind the value");
	RUN("--servers=0", me, "kinds");
	ENDS(2);
	RUN("--pass-on", "--servers=15", me, "kinds");
	ENDS(2);
	SAYS("--pass-on: at most 14 servers");
	RUN("--pass-on", "--policy=edf", me, "kinds");
	ENDS(2);
	SAYS("policy edf does not permit");
	RUN("--policy=nonesuch", me, "kinds");
	ENDS(2);
	SAYS("there is no policy");
	RUN("--policy=rr:slice=1", me, "kinds");
	ENDS(2);
	RUN("--stats");
	ENDS(2);
	RUN("nonesuch-program");
	ENDS(127);
	RUN("/tmp");
	ENDS(126);
	/* busybox is linked statically. */
	RUN("/bin/busybox", "echo", "plain");
	ENDS(0);
	SAYS("is linked statically: its threads are plain");
	SAYS("plain\n");
	RUN("--strict", "/bin/busybox", "echo", "plain");
	ENDS(4);
	SAYS("not run");
	write_file(copy, "#!/bin/busybox sh\nexit 3\n");
	MUST(!chmod(copy, 0755));
	RUN("--strict", copy);
	ENDS(4);
	RUN(copy);
	ENDS(3);
	MUST(!chown(copy, 1, 1) && !chmod(copy, 04755));
	RUN("--strict", copy);
	ENDS(4);
	SAYS("is setuid");
}

static pid_t start_waiting(const char *option, int *out)
{
	int ends_[2];
	char c;
	pid_t pid;

	MUST(!pipe(ends_));
	pid = fork();
	MUST(pid >= 0);
	if (!pid) {
		dup2(ends_[1], 1);
		close(ends_[0]);
		close(ends_[1]);
		execl(same_umcg_run(), "umcg-run", option, me, "wait", NULL);
		_exit(98);
	}
	close(ends_[1]);
	MUST(read(ends_[0], &c, 1) == 1 && c == 'r');
	*out = ends_[0];
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid);
	return status;
}

/* Until no process writes any more: the end of all processes. */
static void await_end(int out)
{
	char buffer[64];

	while (read(out, buffer, sizeof(buffer)) > 0)
		;
	close(out);
}

static void signals(void)
{
	static const char *const options[] = { "--servers=2", "--stats=/dev/null" };
	int out, status;
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		pid = start_waiting(options[i], &out);
		kill(pid, SIGTERM);
		status = wait_for(pid);
		MUST(WIFEXITED(status) && WEXITSTATUS(status) == SIGTERM + 30);
		await_end(out);
		pid = start_waiting(options[i], &out);
		kill(pid, SIGKILL);
		wait_for(pid);
		await_end(out);
		pid = start_waiting(options[i], &out);
		kill(pid, SIGUSR1);
		status = wait_for(pid);
		MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
		await_end(out);
	}
}

/* Statistics while it runs; the program does not get that signal. */
static void asked(void)
{
	char text[4096];
	ssize_t n = 0;
	int out, status;
	pid_t pid = start_waiting("--stats=asked.txt", &out);

	kill(pid, SIGRTMAX);
	while (n <= 0 || !strstr(text, "1 threads")) {
		int fd = open("asked.txt", O_RDONLY);

		n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		text[n < 0 ? 0 : n] = 0;
		close(fd);
		usleep(1000);
	}
	kill(pid, SIGTERM);
	status = wait_for(pid);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == SIGTERM + 30);
	await_end(out);
	unlink("asked.txt");
}

/* Nothing of any process that was run. */
static void nothing_left(void)
{
	DIR *shm = opendir("/dev/shm");
	struct dirent *entry;

	while (shm && (entry = readdir(shm)))
		MUST(entry->d_name[0] == '.');
	if (shm)
		closedir(shm);
	MUST(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

int main(int argc, char **argv)
{
	const char *program = argc > 1 ? argv[1] : "";
	ssize_t n = readlink("/proc/self/exe", me, sizeof(me) - 1);

	MUST(n > 0);
	if (!strcmp(program, "kinds"))
		return threads_of_all_kinds();
	if (!strcmp(program, "_exit") || !strcmp(program, "killed"))
		return end_suddenly(program[0] == 'k');
	if (!strcmp(program, "bare"))
		return exec_bare();
	if (!strcmp(program, "fork"))
		return fork_then_threads();
	if (!strcmp(program, "wait"))
		return await_signal();
	MUST(argc == 1);
	statistics();
	classes();
	refusals();
	signals();
	asked();
	nothing_left();
	puts("all as it should be");
	return 0;
}
