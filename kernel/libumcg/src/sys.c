// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The raw system calls. */
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "sys.h"

static inline long call3(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

long umcg_sys_ctl(uint32_t flags, struct umcg_task *self)
{
	return umcg_call2(__NR_umcg_ctl, flags, (long)self);
}

/*
 * glibc sends the signal of pthread_cancel() only to a thread that may be cancelled
 * at any instruction, so for the length of the call the thread is one.
 */
#define CANCELLABLE(call) ({ \
	long ret_; \
\
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL); \
	ret_ = (call); \
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL); \
	ret_; \
})

long umcg_sys_wait_cancellable(uint32_t flags, uint64_t abs_timeout)
{
	return CANCELLABLE(umcg_call2(__NR_umcg_wait, flags, (long)abs_timeout));
}

long umcg_sys_ctl_cancellable(uint32_t flags, struct umcg_task *self)
{
	return CANCELLABLE(umcg_call2(__NR_umcg_ctl, flags, (long)self));
}

long umcg_sys_kick(uint32_t flags, pid_t tid)
{
	return umcg_call2(__NR_umcg_kick, flags, tid);
}

long umcg_sys_tgkill(pid_t pid, pid_t tid, int sig)
{
	return call3(SYS_tgkill, pid, tid, sig);
}

/* Not nanosleep(3), which is a cancellation point. */
void umcg_sys_nap(uint64_t ns)
{
	struct timespec time = { .tv_nsec = (long)ns };

	umcg_call2(SYS_nanosleep, (long)&time, 0);
}
