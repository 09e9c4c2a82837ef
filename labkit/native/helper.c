// SPDX-License-Identifier: MIT
/*
 * Helper threads of a load: ordinary threads that stand for the world outside
 * (a device, a crowd's wake-up) and the watchdog. Each ends when the last
 * worker has left.
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
		/* After a stop: wake whoever still waits, without ceremony. */
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

/*
 * When the worker of @place is to be preempted: when it is overdue, or at once if
 * it is in the way of an urgent one that the dispatcher has missed.
 */
static int64_t due(struct load *load, struct place *place)
{
	struct lab_thread *worker = atomic_load(&place->running);

	if (!worker)
		return INT64_MAX;
	return ready_yields(load, worker) ? 0 :
	       atomic_load(&place->since) + (int64_t)load->spec->slice_ns;
}

/* Turns that begin while it sleeps are not due before it is awake again. */
void *lab_watchdog(void *arg)
{
	const int64_t soon = 50000, late = 20000000;
	struct load *load = arg;

	while (busy(load)) {
		int64_t now = lab_now(), next = now + (int64_t)load->spec->slice_ns;

		for (uint32_t i = 0; i < load->spec->servers; i++) {
			int64_t when = due(load, &load->places[i]);

			if (when <= now)
				ready_preempt(load, &load->places[i], now);
			else if (when < next)
				next = when;
		}
		next -= now;
		/* Not so late that the end of the load would have to wait for it. */
		nap(next < soon ? soon : next > late ? late : next);
	}
	return NULL;
}
