// SPDX-License-Identifier: MIT
/* How a signal interrupts a thread that computes: what preemption is without UMCG. */
#define _GNU_SOURCE
#include <signal.h>

#include "threads.h"
#include "lab.h"

/* A handler has no argument of ours; one measurement runs at a time. */
static _Atomic int64_t handled_at;

static void handle(int number)
{
	(void)number;
	atomic_store(&handled_at, lab_now());
}

static void *spinner(void *arg)
{
	struct lab_thread *self = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	if (!lab_thread_begin(self))
		return NULL;
	while (!lab_stopped(self->run)) {
		lab_spin(self->run, 1000);
		lab_count(self);
	}
	lab_thread_end(self);
	return NULL;
}

static void *sender(void *arg)
{
	struct lab_thread *self = arg, *target = &self->run->threads[0];
	struct lab_interrupt *spec = self->run->context;

	if (!lab_thread_begin(self))
		return NULL;
	for (uint32_t i = 0; i < spec->count && !lab_stopped(self->run); i++) {
		uint64_t seen = atomic_load(&target->ops);
		int64_t begin;

		/* It must compute again before it is interrupted again. */
		while (atomic_load(&target->ops) < seen + 2 && !lab_stopped(self->run))
			sched_yield();
		atomic_store(&handled_at, 0);
		begin = lab_now();
		if (pthread_kill(target->pthread, SIGURG))
			lab_fail(self->run, "pthread_kill", errno);
		while (!atomic_load(&handled_at) && !lab_stopped(self->run))
			sched_yield();
		spec->latency_ns[i] = atomic_load(&handled_at) - begin;
	}
	lab_stop(self->run);
	lab_thread_end(self);
	return NULL;
}

int lab_interrupt(struct lab_run *run, struct lab_interrupt *spec)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART }, old;
	bool made;

	run->context = spec;
	sigaction(SIGURG, &action, &old);
	made = lab_thread_new(run, LAB_THREAD, spinner, &spec->cpu, 1) &&
	       lab_thread_new(run, LAB_THREAD, sender, &spec->sender_cpu, 1);
	if (!made)
		lab_fail(run, "pthread_create", errno);
	lab_gate(run, made);
	lab_join(run, 0, run->nr_threads);
	sigaction(SIGURG, &old, NULL);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
