// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The raw system calls. */
#include <sys/syscall.h>

#include "sys.h"

#ifndef __x86_64__
#error "the UMCG system calls are defined for x86-64 only"
#endif

/* Not syscall(3): that would go by way of errno, which is not ours to change. */
static inline long call2(long nr, long a, long b)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
	return ret;
}

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
	return call2(__NR_umcg_ctl, flags, (long)self);
}

long umcg_sys_wait(uint32_t flags, uint64_t abs_timeout)
{
	return call2(__NR_umcg_wait, flags, (long)abs_timeout);
}

long umcg_sys_kick(uint32_t flags, pid_t tid)
{
	return call2(__NR_umcg_kick, flags, tid);
}

long umcg_sys_tgkill(pid_t pid, pid_t tid, int sig)
{
	return call3(SYS_tgkill, pid, tid, sig);
}
