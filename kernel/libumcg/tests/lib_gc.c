// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A garbage collector that stops all threads by a signal and waits until each has
 * answered, Debian's libgc, beside workers parked in every way; what only their stacks
 * point to is still there afterwards. Held signals it could wait for for ever.
 */
#define GC_THREADS
#include <gc.h>

#include "parked.h"

#define SIZE	1000

static pthread_t spawn(void *(*run)(void *arg), void *arg)
{
	pthread_t thread;
	int error = GC_pthread_create(&thread, NULL, run, arg);

	if (error)
		FAIL("pthread_create: %s", strerror(error));
	return thread;
}

static void join(pthread_t thread)
{
	int error = GC_pthread_join(thread, NULL);

	if (error)
		FAIL("pthread_join: %s", strerror(error));
}

static void *has_memory(void *arg)
{
	char *volatile mine = GC_MALLOC_ATOMIC(SIZE);

	CHECK(mine, "GC_MALLOC_ATOMIC");
	memset(mine, (int)(intptr_t)arg + 1, SIZE);
	parked_worker(arg);
	for (int i = 0; i < SIZE; i++)
		CHECK(mine[i] == (intptr_t)arg + 1, "%s: byte %d was collected",
		      parked_names[(intptr_t)arg], i);
	return NULL;
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	printf("Not with a sanitizer: it has its own ideas about stacks and signals\n");
	return 0;
#endif
	GC_INIT();
	GC_allow_register_threads();
	for (long n = test_size("ROUNDS", 1, 3); n; n--) {
		parked_begin(n % 2 ? UMCG_GROUP_KEEP_PREEMPTED : 0, spawn, has_memory);
		for (int i = 0; i < 20; i++) {
			GC_gcollect();
			/* What was freed would be given out again here. */
			for (int j = 0; j < 100; j++)
				memset(GC_MALLOC_ATOMIC(SIZE), 0, SIZE);
		}
		parked_end(false, join);
	}
	printf("%lu collections\n", (unsigned long)GC_get_gc_no());
	return 0;
}
