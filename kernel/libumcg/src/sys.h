/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The kernel's side of the ABI. This is all that the library wants from it, so
 * another implementation of the same ABI can take the place of sys.c and of the two
 * functions here.
 *
 * Every function returns what the system call returns, errors as -errno; none
 * touches errno. All are async-signal-safe, and but for two no cancellation points.
 */
#ifndef LIBUMCG_SYS_H
#define LIBUMCG_SYS_H

#include <stdint.h>
#include <sys/types.h>
#include <linux/umcg.h>

/*
 * How workers are registered. Preempted ones the kernel leaves to their server:
 * that keeps them or puts them on the list, as the group says.
 */
#define UMCG_REGISTER_WORKER	(UMCG_CTL_REGISTER | UMCG_CTL_WORKER | UMCG_CTL_KEEP_PREEMPTED)

#ifndef __x86_64__
#error "the UMCG system calls are defined for x86-64 only"
#endif

/* Not syscall(3): that would go by way of errno, which is not ours to change. */
static inline long umcg_call2(long nr, long a, long b)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
	return ret;
}

long umcg_sys_ctl(uint32_t flags, struct umcg_task *self);

static inline long umcg_sys_wait(uint32_t flags, uint64_t abs_timeout)
{
	return umcg_call2(__NR_umcg_wait, flags, (long)abs_timeout);
}

/* Cancellation points; the stack is unwound from in there, see cancel.c. */
long umcg_sys_ctl_cancellable(uint32_t flags, struct umcg_task *self);
long umcg_sys_wait_cancellable(uint32_t flags, uint64_t abs_timeout);
long umcg_sys_kick(uint32_t flags, pid_t tid);
long umcg_sys_tgkill(pid_t pid, pid_t tid, int sig);
void umcg_sys_nap(uint64_t ns);

#endif /* LIBUMCG_SYS_H */
