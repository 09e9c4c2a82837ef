// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Threads begin and end. glibc ends the process with its last thread; our servers
 * would keep it alive, so we count the program's threads, and do it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

static _Atomic uint32_t living = 1;	/* the main thread */
static _Atomic uint32_t order;		/* threads made so far */
/* Of the main thread, and of the only one of a forked child. */
static struct run_record only;
static pthread_key_t key;
static bool key_made;
/* The thread was scheduled in the parent, and is to be again when there are servers. */
static __thread bool rejoins;

/* In the last round, after libumcg's own destructor: it is a plain thread again. */
static void ends(void *record)
{
	struct run_record *r = record;

	if (++r->rounds < PTHREAD_DESTRUCTOR_ITERATIONS && !pthread_setspecific(key, r))
		return;
	self = NULL;
	if (r != &only)
		record_put(r);
	if (atomic_fetch_sub(&living, 1) == 1 && servers_are_up())
		exit(0);
}

/* First thing in a thread of the program's. */
static void begin(struct run_record *r)
{
	r->thread = pthread_self();
	__atomic_store_n(&r->tid, (int32_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	self = r;
	if (key_made)
		pthread_setspecific(key, r);
	class_begin(r);
	servers_enter(r);
}

static void *trampoline(void *record)
{
	struct run_record *r = record;

	begin(r);
	return r->start(r->arg);
}

static int trampoline_c11(void *record)
{
	struct run_record *r = record;

	begin(r);
	return r->start_c11(r->arg);
}

/* The symbol, or where in its file it is. */
static void name_entry(struct run_record *r, void *address)
{
	const char *file;
	Dl_info info;

	if (!dladdr(address, &info)) {
		strcpy(r->entry, "?");
	} else if (info.dli_sname && info.dli_saddr == address) {
		strncpy(r->entry, info.dli_sname, RUN_ENTRY - 1);
	} else {
		file = strrchr(info.dli_fname, '/');
		snprintf(r->entry, RUN_ENTRY, "%.40s+0x%zx", file ? file + 1 : info.dli_fname,
			 (size_t)((char *)address - (char *)info.dli_fbase));
	}
}

/* The calling thread, which has none in the table, gets a record and is scheduled. */
static void begin_late(const char *entry)
{
	struct run_record *r = record_get();

	if (!r)
		return;
	strcpy(r->entry, entry);
	begin(r);
}

/* The record of a thread that is about to be made; NULL: it stays plain. */
static struct run_record *prepare(void *address, void *arg)
{
	struct run_record *r;

	if (!servers_ensure())
		return NULL;
	if (rejoins) {
		rejoins = false;
		begin_late("fork");
	}
	r = record_get();
	if (!r)
		return NULL;
	name_entry(r, address);
	r->order = atomic_fetch_add(&order, 1) + 1;
	r->arg = arg;
	atomic_fetch_add(&living, 1);
	return r;
}

static void not_made(struct run_record *r)
{
	atomic_fetch_sub(&living, 1);
	record_put(r);
}

PUBLIC int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	struct run_record *r = prepare((void *)start, arg);
	int error;

	if (!r)
		return servers_are_up() ? EAGAIN : real_functions()->create(thread, attr, start, arg);
	r->start = start;
	error = real_functions()->create(thread, attr, trampoline, r);
	if (error)
		not_made(r);
	return error;
}

PUBLIC int thrd_create(thrd_t *thread, thrd_start_t start, void *arg)
{
	struct run_record *r = prepare((void *)start, arg);
	int error;

	if (!r)
		return servers_are_up() ? thrd_nomem : real_functions()->create_c11(thread, start, arg);
	r->start_c11 = start;
	error = real_functions()->create_c11(thread, trampoline_c11, r);
	if (error != thrd_success)
		not_made(r);
	return error;
}

/* The calling thread is the process's only one. */
static void begin_alone(void)
{
	memset(&only, 0, sizeof(only));
	only.thread = pthread_self();
	only.tid = (int32_t)syscall(SYS_gettid);
	self = &only;
	atomic_store(&living, 1);
	atomic_store(&order, 0);
	if (key_made)
		pthread_setspecific(key, self);
}

static void forked(void)
{
	rejoins = rejoins || (self && self->scheduled);
	servers_forked();
	records_forked();
	begin_alone();
}

void threads_begin_main(void)
{
	if (servers_ensure())
		begin_late("main");
}

void threads_open(void)
{
	/* libumcg's key and handler of fork() before ours. */
	umcg_get_utid();
	key_made = !pthread_key_create(&key, ends);
	pthread_atfork(NULL, NULL, forked);
	begin_alone();
}
