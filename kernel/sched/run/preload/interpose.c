// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a program calls instead of libc, besides making threads and programs. The
 * symbols have no version, so that they stand for all that libc has: programs linked
 * before glibc 2.34 ask for others than those linked since.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "preload.h"

static struct real real;

static void *find(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Other libraries' constructors may come before ours. */
const struct real *real_functions(void)
{
	if (!__atomic_load_n(&real.create, __ATOMIC_ACQUIRE)) {
		real.create_c11 = find("thrd_create");
		real.yield = find("sched_yield");
		real.set_name = find("pthread_setname_np");
		real.prctl = find("prctl");
		real.set_priority = find("setpriority");
		real.nice = find("nice");
		requests_open(&real.transfer, find);
		__atomic_store_n(&real.create, find("pthread_create"), __ATOMIC_RELEASE);
	}
	return &real;
}

/* UMCG does not notice the system call: the thread stays on its server. */
PUBLIC int sched_yield(void)
{
	int error = errno;

	if (self && self->scheduled && !umcg_sched_yield())
		return 0;
	errno = error;
	return real_functions()->yield();
}

PUBLIC void thrd_yield(void)
{
	sched_yield();
}

/* Today's headers have no declaration, but another name for it. */
PUBLIC int yield_by_another_name(void) __asm__("pthread_yield");

int yield_by_another_name(void)
{
	return sched_yield();
}

static void named(struct run_record *r, const char *name)
{
	if (!r)
		return;
	memset(r->name, 0, RUN_NAME);
	memcpy(r->name, name, strnlen(name, RUN_NAME - 1));
	class_renew(r);
}

PUBLIC int pthread_setname_np(pthread_t thread, const char *name)
{
	int error = real_functions()->set_name(thread, name);

	if (!error)
		named(self && pthread_equal(thread, self->thread) ? self : record_of_thread(thread), name);
	return error;
}

PUBLIC int prctl(int option, ...)
{
	unsigned long a, b, c, d;
	va_list args;
	int ret;

	va_start(args, option);
	a = va_arg(args, unsigned long);
	b = va_arg(args, unsigned long);
	c = va_arg(args, unsigned long);
	d = va_arg(args, unsigned long);
	va_end(args);
	ret = real_functions()->prctl(option, a, b, c, d);
	if (!ret && option == PR_SET_NAME)
		named(self, (const char *)a);
	return ret;
}

/* Nice values are threads' in Linux. */
static void renice(struct run_record *r)
{
	int error = errno, nice;

	if (r) {
		nice = getpriority(PRIO_PROCESS, (id_t)r->tid);
		if (nice != r->nice) {
			r->nice = nice;
			class_renew(r);
		}
	}
	errno = error;
}

PUBLIC int setpriority(__priority_which_t which, id_t who, int nice)
{
	int ret = real_functions()->set_priority((int)which, who, nice);

	if (!ret && which == PRIO_PROCESS)
		renice(!who || (self && (id_t)self->tid == who) ? self : record_of_tid((int32_t)who));
	return ret;
}

PUBLIC int nice(int by)
{
	int ret = real_functions()->nice(by);

	renice(self);
	return ret;
}

static int (*program_main)(int argc, char **argv, char **envp);

static int main_scheduled(int argc, char **argv, char **envp)
{
	threads_begin_main();
	return program_main(argc, argv, envp);
}

typedef int main_function(int argc, char **argv, char **envp);

PUBLIC int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void),
			     void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	int (*start)(main_function *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

	*(void **)&start = find("__libc_start_main");
	program_main = main;
	return start(settings.main_too ? main_scheduled : main, argc, argv, init, fini, rtld_fini, stack_end);
}

static __attribute__((constructor)) void open_all(void)
{
	real_functions();
	exec_open();
	if (!settings_read())
		return;
	records_open();
	threads_open();
	servers_allow();
}
