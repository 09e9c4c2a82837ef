// SPDX-License-Identifier: MIT
/*
 * The signal mask that a debugger and /proc see of a worker without a server is the
 * program's own, and what a debugger sets stays.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

#define GETSIGMASK	0x420a		/* the C library's names are an enum */
#define SETSIGMASK	0x420b

struct shared {
	struct pool	pool;
	struct server	s;
	struct worker	w;
	volatile bool	run;
	volatile uint64_t mask;
};

static struct shared *sh;

static void on_signal(int sig)
{
	(void)sig;
}

static void job(struct worker *self)
{
	uint64_t m;

	(void)self;
	CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &m, sizeof(m)), 0);
	sh->mask = m;
}

static void tracee(void *options)
{
	signal(SIGUSR1, on_signal);
	signal(SIGHUP, on_signal);
	worker_options |= *(uint32_t *)options;
	server_register(&sh->s, &sh->pool);
	worker_start(&sh->w, &sh->pool, job, NULL);
	server_expect(&sh->s, &sh->w);
	WAIT_FOR(sh->run);
	CHECK_EQ(server_run_through(&sh->s, &sh->w), NONE);
}

static void stop(pid_t tid)
{
	int status;

	CHECK_EQ(ptrace(PTRACE_INTERRUPT, tid, 0, 0), 0);
	CHECK_EQ(waitpid(tid, &status, __WALL), tid);
	CHECK(WIFSTOPPED(status));
}

static uint64_t seen(pid_t tid)
{
	uint64_t m = ~0ULL;

	CHECK_EQ(ptrace(GETSIGMASK, tid, sizeof(m), &m), 0);
	return m;
}

static uint64_t blocked(pid_t pid, pid_t tid)
{
	unsigned long long mask = ~0ULL;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "SigBlk: %llx", &mask) == 1)
			break;
	fclose(f);
	return mask;
}

static void mask(uint32_t options)
{
	uint64_t mine = 1ULL << (SIGUSR2 - 1);
	pid_t pid, tid;

	memset(sh, 0, sizeof(*sh));
	pid = child_start(tracee, &options);
	WAIT_FOR(sh->w.tid && state_of(&sh->w.rec) == IDLE && sh->w.rec.idle_workers_ptr != 1);
	tid = sh->w.tid;
	CHECK_EQ(syscall(SYS_tgkill, pid, tid, SIGUSR1), 0);
	usleep(10000);
	CHECK_EQ(blocked(pid, tid), 0);
	CHECK_EQ(ptrace(PTRACE_SEIZE, tid, 0, 0), 0);
	stop(tid);
	CHECK_EQ(seen(tid), 0);
	CHECK_EQ(blocked(pid, tid), 0);
	CHECK_EQ(ptrace(SETSIGMASK, tid, sizeof(mine), &mine), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(ptrace(PTRACE_CONT, tid, 0, 0), 0);
		usleep(5000);
		stop(tid);
		CHECK_EQ(seen(tid), mine);
	}
	CHECK_EQ(ptrace(PTRACE_DETACH, tid, 0, 0), 0);
	CHECK_EQ(blocked(pid, tid), mine);
	sh->run = true;
	CHECK_EQ(child_wait(pid), 0);
	CHECK_EQ(sh->mask, mine);
}

int main(void)
{
	raw_start();
	sh = map_pages(4, MAP_SHARED);
	CHECK(sizeof(*sh) <= 4 * 4096);
	raw_note("handlers run at once");
	mask(0);
	raw_note("signals are held");
	mask(HOLD_SIGNALS);
	return 0;
}
