// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What threads do with each other: locks, conditions, cancellation, keys, their ends. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>

#include "same.h"

#define N	12

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_spinlock_t spin;
static pthread_key_t key;
static sem_t sem;
static long counter, turn;
static atomic_int cleaned, destroyed, flag;

static void *together(void *(*body)(void *), int n)
{
	pthread_t threads[64];
	long sum = 0;
	void *ret;

	for (long i = 0; i < n; i++)
		MUST(!pthread_create(&threads[i], NULL, body, (void *)i));
	for (int i = 0; i < n; i++) {
		MUST(!pthread_join(threads[i], &ret));
		sum += (long)ret;
	}
	return (void *)sum;
}

static void *use_mutex(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void *take_turns(void *arg)
{
	for (int i = 0; i < 10; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % N != (long)arg)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *use_barrier(void *arg)
{
	long serial = 0;

	(void)arg;
	for (int i = 0; i < 20; i++)
		serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
	return (void *)serial;
}

static void *use_rwlock(void *arg)
{
	for (int i = 0; i < 200; i++) {
		if (i % 10) {
			pthread_rwlock_rdlock(&rwlock);
		} else {
			pthread_rwlock_wrlock(&rwlock);
			counter++;
		}
		pthread_rwlock_unlock(&rwlock);
	}
	return arg;
}

static void *use_spinlock(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		pthread_spin_lock(&spin);
		counter++;
		pthread_spin_unlock(&spin);
	}
	return arg;
}

static int locks(void)
{
	pthread_barrier_init(&barrier, NULL, N);
	pthread_spin_init(&spin, 0);
	together(use_mutex, N);
	together(take_turns, N);
	printf("counter %ld, turns %ld, barriers %ld\n", counter, turn, (long)together(use_barrier, N));
	counter = 0;
	together(use_rwlock, N);
	together(use_spinlock, N);
	printf("counter %ld\n", counter);
	return 5;
}

static void *use_and_nap(void *arg)
{
	for (int i = 0; i < 30; i++) {
		MUST(!pthread_mutex_lock(&mutex));
		counter++;
		if (i % 10 == 0)
			usleep(100);
		MUST(!pthread_mutex_unlock(&mutex));
	}
	return arg;
}

static void *die_with_lock(void *arg)
{
	MUST(!pthread_mutex_lock(&mutex));
	return arg;
}

static int pi_and_robust(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&mutex, &attr);
	together(use_and_nap, 8);
	together(die_with_lock, 1);
	printf("counter %ld, owner dead %d\n", counter, pthread_mutex_lock(&mutex) == EOWNERDEAD);
	MUST(!pthread_mutex_consistent(&mutex));
	MUST(!pthread_mutex_unlock(&mutex));
	return 0;
}

static void clean(void *arg)
{
	if (arg)
		pthread_mutex_unlock(arg);
	cleaned++;
}

static void *sleep_long(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	sem_post(&sem);
	sleep(1000);
	pthread_cleanup_pop(0);
	return arg;
}

static void *wait_long(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(clean, &mutex);
	sem_post(&sem);
	for (;;)
		pthread_cond_wait(&cond, &mutex);
	pthread_cleanup_pop(0);
	return arg;
}

static void *spin_long(void *arg)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_cleanup_push(clean, NULL);
	sem_post(&sem);
	for (volatile long i = 0;; i++)
		;
	pthread_cleanup_pop(0);
	return arg;
}

/* Each is alone, so that a server has it when it is cancelled. */
static int cancellation(void)
{
	void *(*const bodies[])(void *) = { sleep_long, wait_long, spin_long };
	pthread_t thread;
	void *ret;

	sem_init(&sem, 0, 0);
	for (int i = 0; i < 3; i++) {
		MUST(!pthread_create(&thread, NULL, bodies[i], NULL));
		sem_wait(&sem);
		usleep(20000);
		MUST(!pthread_cancel(thread));
		MUST(!pthread_join(thread, &ret));
		printf("cancelled %d, cleaned %d\n", ret == PTHREAD_CANCELED, cleaned);
	}
	return 0;
}

static void destroy(void *value)
{
	destroyed++;
	/* In the later rounds, too, the thread may block. */
	usleep(100);
	if ((long)value > 1)
		pthread_setspecific(key, (void *)((long)value - 1));
}

static void *use_key(void *arg)
{
	pthread_setspecific(key, (void *)4);
	if ((long)arg % 2)
		pthread_exit((void *)7);
	return (void *)1;
}

static int keys(void)
{
	pthread_key_create(&key, destroy);
	printf("sum %ld, ", (long)together(use_key, 10));
	printf("destroyed %d\n", destroyed);
	return 0;
}

static int c11_body(void *arg)
{
	(void)arg;
	thrd_yield();
	return 42;
}

static int c11(void)
{
	thrd_t threads[8];
	int ret, sum = 0;

	for (int i = 0; i < 8; i++)
		MUST(thrd_create(&threads[i], c11_body, NULL) == thrd_success);
	for (int i = 0; i < 8; i++) {
		MUST(thrd_join(threads[i], &ret) == thrd_success);
		sum += ret;
	}
	printf("sum %d\n", sum);
	return 0;
}

static void *await_flag(void *arg)
{
	while (!flag)
		sched_yield();
	return arg;
}

static void *spin_for_flag(void *arg)
{
	while (!flag)
		;
	return arg;
}

static void *set_flag(void *arg)
{
	usleep(2000);
	flag = 1;
	return arg;
}

/* More that wait for it than there are servers. */
static int flags(void)
{
	void *(*const bodies[])(void *) = { await_flag, spin_for_flag };
	pthread_t threads[7];

	for (int b = 0; b < 2; b++) {
		flag = 0;
		for (int i = 0; i < 6; i++)
			MUST(!pthread_create(&threads[i], NULL, bodies[b], NULL));
		MUST(!pthread_create(&threads[6], NULL, set_flag, NULL));
		for (int i = 0; i < 7; i++)
			pthread_join(threads[i], NULL);
	}
	puts("seen");
	return 0;
}

static void *come_and_go(void *arg)
{
	return arg;
}

static int many(void)
{
	long sum = 0;

	for (int i = 0; i < 2; i++)
		sum += (long)together(come_and_go, 64);
	printf("sum %ld\n", sum);
	return 0;
}

static void *late(void *arg)
{
	usleep(50000);
	puts("the last thread");
	return arg;
}

static int main_leaves(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		MUST(!pthread_create(&thread, NULL, i ? come_and_go : late, NULL));
	puts("main leaves");
	pthread_exit(NULL);
}

static void *forever(void *arg)
{
	for (volatile long i = 0;; i++)
		;
	return arg;
}

static int main_returns(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		MUST(!pthread_create(&thread, NULL, i ? sleep_long : forever, NULL));
	puts("main returns");
	return 3;
}

static void *exit_raw(void *arg)
{
	syscall(SYS_exit, 0);
	return arg;
}

static int raw_exit(void)
{
	together(exit_raw, 5);
	puts("joined");
	return 0;
}

/* As a program asks for it that was linked before glibc 2.34. */
int old_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg);
__asm__(".symver old_create, pthread_create@GLIBC_2.2.5");

static int old_symbol(void)
{
	pthread_t thread;
	void *ret;

	MUST(!old_create(&thread, NULL, come_and_go, (void *)9));
	MUST(!pthread_join(thread, &ret));
	printf("%ld\n", (long)ret);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct same_case cases[] = {
		{ "locks", locks }, { "pi_and_robust", pi_and_robust }, { "cancellation", cancellation },
		{ "keys", keys }, { "c11", c11 }, { "flags", flags }, { "many", many },
		{ "main_leaves", main_leaves }, { "main_returns", main_returns }, { "raw_exit", raw_exit },
		{ "old_symbol", old_symbol }, { NULL, NULL },
	};

	return same_main(argc, argv, cases);
}
