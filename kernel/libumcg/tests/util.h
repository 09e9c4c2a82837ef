/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the test programs share. Exit codes: 0 passed, 1 failed, 77 skipped. */
#ifndef UTIL_H
#define UTIL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libumcg.h>

#define MS	1000000ULL	/* ns */

#define WAITS	(UMCG_TASK_IDLE | UMCG_UTF_WORKER_IN_WAIT)

/*
 * Are workers preempted that are inside the library? Not under ThreadSanitizer: its run time
 * locks what an atomic operation with an order touches, and a worker that is preempted there
 * keeps the lock, so that the server waits for ever.
 */
#ifdef __SANITIZE_THREAD__
#define TEST_PREEMPTS_INSIDE	false
#else
#define TEST_PREEMPTS_INSIDE	true
#endif

/*
 * May the child of a process with threads make threads? Not under ThreadSanitizer: to its run time
 * those of the parent are still there, and a new one that gets the memory of one of them ends the
 * process ("dup thread with used id").
 */
#ifdef __SANITIZE_THREAD__
#define TEST_THREADS_AFTER_FORK	false
#else
#define TEST_THREADS_AFTER_FORK	true
#endif

/*
 * May a thread end by a bare exit(2)? Not under sanitizers: their run times must see each thread
 * end, and ThreadSanitizer's waits for ever for one that is joined.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_BARE_EXITS		false
#else
#define TEST_BARE_EXITS		true
#endif

/* Say what went wrong and end the program. */
#define FAIL(...)	test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			test_check(__FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)
/* @call returns 0, or -1 with errno @error if that is not 0. */
#define CHECK_CALL(call, error) test_call(__FILE__, __LINE__, #call, (call), (error))
#define CHECK_NONE(call, error) \
	test_call(__FILE__, __LINE__, #call, (call) == UMCG_NONE ? -1 : 0, (error))

void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void test_check(const char *file, int line, const char *cond, const char *format, ...)
	__attribute__((format(printf, 4, 5), noreturn));
void test_call(const char *file, int line, const char *what, int ret, int error);

/*
 * To be called first: starts the time limit (LIMIT in the environment, in s) and
 * skips on a kernel without UMCG. The watchdog shows the tasks' states. With PIN
 * in the environment all threads share CPU 0.
 */
void test_begin(int argc, char **argv);
/*
 * Do places pass on? If the program runs under a name that ends in "_pass" (see the file
 * "passing"), or with PASS_ON in the environment.
 */
bool test_passes_on(void);
umcg_t test_group(uint32_t flags);	/* umcg_create_group(), with UMCG_GROUP_PASS_ON if they do */
/* Size number @index (from 1) on the command line, or PROGRAM_@name in the environment. */
long test_size(const char *name, int index, long otherwise);

void test_pin(void);	/* the calling thread, to CPU 0 */
/* Until another thread has made it so. */
#define AWAIT(condition) \
	do { \
		while (!(condition)) \
			test_nap(MS / 5); \
	} while (0)

pthread_t test_spawn(void *(*run)(void *arg), void *arg);
void test_join(pthread_t thread);
umcg_tid test_task(umcg_tid utid);	/* fails on UMCG_NONE; shown by the watchdog */
void test_state(umcg_tid utid, uint64_t state);	/* wait until it is that */
char test_proc_state(int tid);	/* R, S, T, ...; of any process */
/*
 * Wait until the thread is IDLE and sleeps for that. A task says IDLE a moment before: a worker
 * is on the idle list, and a signal interrupts the wait itself, only when it sleeps.
 */
void test_asleep(umcg_tid utid, int tid);
void test_await(atomic_int *value, int wanted);	/* wait until it is that */
void test_nap(uint64_t ns);
uint64_t test_random(uint64_t *seed);

/*
 * A group, its servers and workers. Servers run whatever is idle until @alive
 * workers have gone.
 */
struct place {
	umcg_t group;
	atomic_int alive;	/* workers still to end */
	atomic_int servers;	/* servers now registered */
	atomic_bool stop;
	atomic_intptr_t server[64];
	atomic_int blocked, yielded, preempted, interrupted;
};

void place_begin(struct place *p, uint32_t flags, int workers);
void place_serve(struct place *p);	/* the caller is the server */
pthread_t place_server(struct place *p);	/* a thread that serves */
void place_end(struct place *p);
/* Run @workers threads of @run under @servers servers until they have ended. */
void place_run(struct place *p, int servers, int workers, void *(*run)(void *arg));

#endif /* UTIL_H */
