// SPDX-License-Identifier: MIT
/*
 * Seccomp beside UMCG: a filter has its say over UMCG's own calls like over any
 * other; a supervisor's answer is waited for as in any block; a filter comes to
 * workers that wait, too; a thread that a filter kills frees its server.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w;
static volatile int listener;

/* From now on system call @nr of this thread, or with TSYNC of all, meets @action. */
static int filter(int nr, uint32_t action, unsigned int flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void start(void (*fn)(struct worker *self))
{
	server_register(&s, &pool);
	worker_start(&w, &pool, fn, NULL);
	server_expect(&s, &w);
}

/* --- calls that are refused --- */

static void is_refused(struct worker *self)
{
	uint64_t word;

	CHECK_EQ(filter(__NR_umcg_wait, SECCOMP_RET_ERRNO | EACCES, 0), 0);
	CHECK_EQ(filter(__NR_umcg_kick, SECCOMP_RET_ERRNO | EACCES, 0), 0);
	word = self->rec.state_ts;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -EACCES);
	CHECK_EQ(sys_kick(0, self->tid), -EACCES);
	CHECK_EQ(self->rec.state_ts, word);
	worker_nap(self);
	self->count++;
}

static void refused(void *arg)
{
	(void)arg;
	start(is_refused);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
}

/* --- a handler in place of the call --- */

static volatile int trapped;

static void on_sys(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	trapped = info->si_syscall;
}

static void is_trapped(struct worker *self)
{
	CHECK_EQ(filter(SYS_getppid, SECCOMP_RET_TRAP, 0), 0);
	syscall(SYS_getppid);
	CHECK_EQ(trapped, SYS_getppid);
	CHECK_STATE(&self->rec, RUNNING);
	worker_yield(self);
	self->count++;
}

static void trap(void *arg)
{
	struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };

	(void)arg;
	CHECK_EQ(sigaction(SIGSYS, &sa, NULL), 0);
	start(is_trapped);
	server_push(&s, &w);
	server_loop(&s);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
}

/* --- a supervisor, which takes its time --- */

static void is_supervised(struct worker *self)
{
	int fd = filter(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	CHECK(fd >= 0);
	listener = fd;
	CHECK_EQ(syscall(SYS_getppid), 4711);
	CHECK_STATE(&self->rec, RUNNING);
	self->count++;
}

static void supervisor(void *arg)
{
	struct seccomp_notif question;
	struct seccomp_notif_resp answer = { .val = 4711 };

	(void)arg;
	start(is_supervised);
	/* Blocks for other reasons (a lock, a fault) come to the list by themselves. */
	while (server_run(&s, &w), !listener || worker_on_list(&w))
		server_expect(&s, &w);
	memset(&question, 0, sizeof(question));
	CHECK_EQ(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question), 0);
	CHECK_EQ(question.data.nr, SYS_getppid);
	CHECK_EQ((pid_t)question.pid, w.tid);
	CHECK_STATE(&w.rec, BLOCKED);
	answer.id = question.id;
	CHECK_EQ(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
}

/* --- a filter for all threads, while one waits on the list --- */

static void is_synced(struct worker *self)
{
	errno = 0;
	CHECK(syscall(SYS_getppid) == -1 && errno == EACCES);
	self->count++;
}

static void sync_all(void *arg)
{
	(void)arg;
	start(is_synced);
	CHECK_EQ(filter(SYS_getppid, SECCOMP_RET_ERRNO | EACCES, SECCOMP_FILTER_FLAG_TSYNC), 0);
	CHECK_STATE(&w.rec, IDLE);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
}

/* --- death by filter --- */

static void is_killed(struct worker *self)
{
	CHECK_EQ(filter(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0), 0);
	self->count++;
	syscall(SYS_getppid);
	FAIL("lived on");
}

static void kill_thread(void *arg)
{
	(void)arg;
	start(is_killed);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_STATE(&s.rec, RUNNING);
	CHECK_EQ(w.count, 1);
	/* The last thread's end is the process': the server goes on until then. */
	server_unregister(&s);
	_exit(0);
}

/* Wait detection at the call that the filter kills for: the whole process goes. */
static void is_fatal(struct worker *self)
{
	CHECK_EQ(filter(__NR_umcg_wait, SECCOMP_RET_KILL_PROCESS, 0), 0);
	worker_yield(self);
}

static void kill_process(void *arg)
{
	(void)arg;
	start(is_fatal);
	server_run_through(&s, &w);
	await_death();
}

int main(void)
{
	raw_start();
	if (prctl(PR_GET_SECCOMP) < 0)
		raw_skip("needs CONFIG_SECCOMP");
	check_exits(refused, NULL, 0, "calls that are refused");
	check_exits(trap, NULL, 0, "a handler in place of the call");
	check_exits(supervisor, NULL, 0, "a supervisor");
	check_exits(sync_all, NULL, 0, "a filter for all threads");
	check_exits(kill_thread, NULL, 0, "a thread that is killed");
	check_dies(kill_process, NULL, SIGSYS, "a process that is killed");
	return 0;
}
