// SPDX-License-Identifier: MIT
/* The workloads: what one operation of a worker is. Same code on UMCG and pthreads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <umcg-sched.h>

#include "load.h"

bool lab_work_needs_device(int work)
{
	return work == LAB_WORK_PIPE || work == LAB_WORK_SOCKETPAIR;
}

bool lab_work_is_storm(int work)
{
	return work == LAB_WORK_STORM_FUTEX || work == LAB_WORK_STORM_WAIT;
}

/* Sleep, then compute; @urgent: latency counts from the end of the sleep. */
static int work_sleep(struct load *load, struct lab_thread *self, uint64_t turns,
		      bool urgent)
{
	int64_t begin = lab_now();
	int64_t deadline = begin + (int64_t)load->spec->idle_ns;
	int64_t now;

	lab_sleep_until(self, deadline);
	lab_spin(load->run, turns);
	now = lab_now();
	lab_finished(self, now, now - (urgent ? deadline : begin));
	return 0;
}

/* Ask the device for a byte and wait for it. */
static int work_device(struct load *load, struct lab_thread *self)
{
	struct worker *worker = &load->workers[self->index];
	int64_t begin = lab_now(), now;
	ssize_t got;
	char byte;

	lab_spin(load->run, load->spec->busy_turns);
	now = lab_block_begin(self);
	atomic_store_explicit(&worker->asked, now, memory_order_release);
	got = read(worker->fd[0], &byte, 1);
	now = lab_block_end(self, now);
	lab_finished(self, now, now - begin);
	return got == 1 ? 0 : -1;
}

static int work_lock(struct load *load, struct lab_thread *self)
{
	uint64_t turns = load->spec->busy_turns;
	int64_t begin = lab_now(), now;

	lab_spin(load->run, turns / 2);
	atomic_store_explicit(&self->due, 0, memory_order_relaxed);
	if (pthread_mutex_trylock(&load->lock)) {
		now = lab_block_begin(self);
		pthread_mutex_lock(&load->lock);
		lab_block_end(self, now);
	}
	lab_spin(load->run, turns - turns / 2);
	pthread_mutex_unlock(&load->lock);
	now = lab_now();
	lab_finished(self, now, now - begin);
	return 0;
}

static int work_fault(struct load *load, struct lab_thread *self)
{
	struct worker *worker = &load->workers[self->index];
	int64_t begin = lab_now(), now;

	lab_spin(load->run, load->spec->busy_turns);
	if (lab_pages_touch(&load->pages, self, &worker->fault))
		return -1;
	now = lab_now();
	lab_finished(self, now, now - begin);
	return 0;
}

/* One operation in ten computes ten times as long. */
static int work_mixed(struct load *load, struct lab_thread *self)
{
	struct worker *worker = &load->workers[self->index];
	uint64_t turns = load->spec->busy_turns;

	worker->random = worker->random * 6364136223846793005ULL + 1442695040888963407ULL;
	if ((worker->random >> 33) % 10 == 0)
		turns *= 10;
	return work_sleep(load, self, turns, false);
}

static int work_spin(struct load *load, struct lab_thread *self)
{
	int64_t begin = lab_now(), now;

	lab_spin(load->run, load->spec->busy_turns);
	now = lab_now();
	lab_finished(self, now, now - begin);
	return 0;
}

static int work_storm(struct load *load, struct lab_thread *self)
{
	uint32_t generation = atomic_load(&load->generation);
	int64_t begin = lab_block_begin(self), called, now;

	atomic_fetch_add(&load->arrived, 1);
	while (atomic_load(&load->generation) == generation) {
		if (load->spec->work == LAB_WORK_STORM_WAIT && load->spec->umcg) {
			if (umcg_wait(0) && errno != EINTR)
				return -1;
		} else {
			syscall(SYS_futex, &load->generation, FUTEX_WAIT_PRIVATE,
				generation, NULL, NULL, 0);
		}
	}
	/* First: from a stop on the next call waits for nobody, and may come at any time. */
	called = atomic_load(&load->woken_at);
	now = lab_block_end(self, begin);
	lab_finished(self, now, now - called);
	atomic_fetch_add(&load->woken, 1);
	return 0;
}

int lab_work_one(struct load *load, struct lab_thread *self)
{
	/* Service counts by the request. */
	if (load->crew)
		umcg_sched_begin_request();
	if (self->urgent)
		return work_sleep(load, self, load->spec->urgent_turns, true);
	switch (load->spec->work) {
	case LAB_WORK_SLEEP:
		return work_sleep(load, self, load->spec->busy_turns, false);
	case LAB_WORK_PIPE:
	case LAB_WORK_SOCKETPAIR:
		return work_device(load, self);
	case LAB_WORK_LOCK:
		return work_lock(load, self);
	case LAB_WORK_FAULT:
		return work_fault(load, self);
	case LAB_WORK_MIXED:
		return work_mixed(load, self);
	case LAB_WORK_STORM_FUTEX:
	case LAB_WORK_STORM_WAIT:
		return work_storm(load, self);
	default:
		return work_spin(load, self);
	}
}

int lab_work_setup(struct load *load)
{
	struct lab_load *spec = load->spec;

	for (uint32_t i = 0; i < spec->workers; i++) {
		int *fd = load->workers[i].fd;

		if (spec->work == LAB_WORK_PIPE && pipe2(fd, O_CLOEXEC))
			return -1;
		if (spec->work == LAB_WORK_SOCKETPAIR &&
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
			return -1;
	}
	return spec->work == LAB_WORK_FAULT ?
		lab_pages_map(&load->pages, spec->file, spec->workers) : 0;
}

void lab_work_teardown(struct load *load)
{
	for (uint32_t i = 0; i < load->spec->workers; i++)
		for (int end = 0; end < 2; end++)
			if (load->workers[i].fd[end] >= 0)
				close(load->workers[i].fd[end]);
	lab_pages_unmap(&load->pages);
}
