// SPDX-License-Identifier: MIT
/*
 * Helper threads of a load: ordinary threads that stand for the world outside, a
 * device or a crowd's wake-up. Each ends when the last worker has left.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "load.h"

static void nap(int64_t ns)
{
	struct timespec time = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static bool busy(struct load *load)
{
	return atomic_load(&load->live);
}

void *lab_device(void *arg)
{
	struct load *load = arg;
	int64_t latency = (int64_t)load->spec->idle_ns;
	int64_t step = latency / 4 < 20000 ? 20000 : latency / 4;

	while (busy(load)) {
		int64_t now = lab_now();

		/* A worker that asked before a stop is answered too, at once. */
		for (uint32_t i = 0; i < load->spec->workers; i++) {
			struct worker *worker = &load->workers[i];
			int64_t asked = atomic_load_explicit(&worker->asked,
							     memory_order_acquire);

			if (!asked || (now - asked < latency && !lab_stopped(load->run)))
				continue;
			atomic_store(&worker->asked, 0);
			atomic_store_explicit(&load->run->threads[i].due, lab_now(),
					      memory_order_relaxed);
			if (write(worker->fd[1], "", 1) != 1)
				lab_fail(load->run, "device", errno);
		}
		nap(step);
	}
	return NULL;
}

static void wake_all(struct load *load)
{
	bool in_user_space = load->spec->work == LAB_WORK_STORM_WAIT && load->spec->umcg;

	int64_t now = lab_now();

	for (uint32_t i = 0; i < load->spec->workers; i++)
		atomic_store_explicit(&load->run->threads[i].due, now, memory_order_relaxed);
	atomic_store(&load->woken_at, now);
	atomic_fetch_add(&load->generation, 1);
	if (!in_user_space) {
		syscall(SYS_futex, &load->generation, FUTEX_WAKE_PRIVATE, INT_MAX,
			NULL, NULL, 0);
		return;
	}
	for (uint32_t i = 0; i < load->spec->workers; i++)
		if (umcg_wake(atomic_load(&load->run->threads[i].task), false) &&
		    errno != ESRCH)
			lab_fail(load->run, "umcg_wake", errno);
}

void *lab_storm(void *arg)
{
	struct load *load = arg;
	bool registered = load->spec->umcg && umcg_register_basic_task(0) != UMCG_NONE;
	uint64_t storms = 0;

	/* Only a task may wake a task. */
	if (load->spec->umcg && !registered)
		lab_fail(load->run, "registration of the waker", errno);
	while (busy(load)) {
		/* After a stop: wake all that still wait. */
		while (!lab_stopped(load->run) &&
		       atomic_load(&load->arrived) < load->spec->workers)
			nap(20000);
		if (load->spec->max_ops && storms++ == load->spec->max_ops)
			lab_stop(load->run);
		nap((int64_t)load->spec->idle_ns);
		atomic_store(&load->arrived, 0);
		atomic_store(&load->woken, 0);
		wake_all(load);
		while (!lab_stopped(load->run) &&
		       atomic_load(&load->woken) < load->spec->workers)
			nap(20000);
	}
	if (registered)
		umcg_unregister_task();
	return NULL;
}
