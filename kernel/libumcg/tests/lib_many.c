// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Ten thousand workers, all idle, then all waiting, then all gone. */
#include <limits.h>

#include "util.h"

#ifdef __SANITIZE_THREAD__
#define MANY	300	/* the runtime needs 200 KB and much time for each */
#else
#define MANY	10000
#endif

static int workers;
static struct place place;
static atomic_intptr_t *utids;
static atomic_int started, waited, done;

static void *worker(void *arg)
{
	int me = (int)(intptr_t)arg;

	utids[me] = umcg_get_utid();
	started++;
	CHECK(umcg_register_worker(place.group, me), "register");
	waited++;
	CHECK_CALL(umcg_wait(0), 0);
	done++;
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Small machines allow fewer threads than that; root may change it. */
static void raise_limit(const char *path, long to)
{
	FILE *file = fopen(path, "r+");
	long is = 0;

	if (file && fscanf(file, "%ld", &is) == 1 && is < to) {
		rewind(file);
		fprintf(file, "%ld", to);
	}
	if (file)
		fclose(file);
}

int main(int argc, char **argv)
{
	pthread_t *threads, servers[2];
	pthread_attr_t attr;

	test_begin(argc, argv);
	workers = (int)test_size("WORKERS", 1, MANY);
	raise_limit("/proc/sys/kernel/pid_max", workers + 2000);
	raise_limit("/proc/sys/kernel/threads-max", workers + 2000);
	raise_limit("/proc/sys/vm/max_map_count", 3L * workers + 2000);
	threads = calloc((size_t)workers, sizeof(*threads));
	utids = calloc((size_t)workers, sizeof(*utids));
	place_begin(&place, 0, workers);
	CHECK(umcg_register_basic_task(0), "register");

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + 16384);
	for (intptr_t i = 0; i < workers; i++) {
		errno = pthread_create(&threads[i], &attr, worker, (void *)i);
		CHECK(!errno, "thread %ld (threads-max, pid_max, max_map_count?)", (long)i);
	}
	test_await(&started, workers);
	for (int i = 0; i < workers; i++)
		test_state(utids[i], UMCG_TASK_IDLE);
	printf("%d workers are idle\n", workers);

	for (int i = 0; i < 2; i++)
		servers[i] = place_server(&place);
	test_await(&waited, workers);
	for (int i = 0; i < workers; i++)
		CHECK_CALL(umcg_wake(utids[i], false), 0);
	test_await(&done, workers);
	printf("%d workers are done\n", workers);
	for (int i = 0; i < workers; i++)
		test_join(threads[i]);
	for (int i = 0; i < 2; i++)
		test_join(servers[i]);
	CHECK_CALL(umcg_unregister_task(), 0);
	place_end(&place);
	free(threads);
	free(utids);
	return 0;
}
