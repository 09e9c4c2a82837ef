// SPDX-License-Identifier: MIT
/* The workloads: what one operation of a worker is. Same code on UMCG and pthreads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <umcg-sched.h>

#include "load.h"

static const size_t page_size = 4096;

bool lab_work_needs_device(int work)
{
	return work == LAB_WORK_PIPE || work == LAB_WORK_SOCKETPAIR;
}

bool lab_work_is_storm(int work)
{
	return work == LAB_WORK_STORM_FUTEX || work == LAB_WORK_STORM_WAIT;
}

/*
 * Around every call that may block. On pthreads the worker tells of its states
 * itself; on UMCG the scheduler does, and its rows take from here since when, and
 * what for.
 */
static int64_t block_begin(struct load *load, struct lab_thread *self)
{
	int64_t now = lab_now();

	atomic_store_explicit(&self->blocked, 1, memory_order_relaxed);
	if (!load->spec->umcg)
		lab_emit(self, now, self->tid, LAB_BLOCK, LAB_RUNNING, LAB_BLOCKED, 0, 0);
	return now;
}

static void note_wait(struct lab_thread *self, int64_t begin, int64_t end)
{
	int64_t due = atomic_load_explicit(&self->due, memory_order_relaxed);

	self->waits[self->nr_waits++] = (struct lab_wait){
		.begin = begin, .end = end, .due = due >= begin ? due : 0,
	};
}

static int64_t block_end(struct load *load, struct lab_thread *self, int64_t begin)
{
	int64_t now = lab_now();

	atomic_store_explicit(&self->blocked, 0, memory_order_relaxed);
	if (!load->spec->umcg)
		lab_emit(self, now, self->tid, LAB_WAKE, LAB_BLOCKED, LAB_RUNNING, 0, 0);
	else if (self->waits && self->nr_waits < self->max_events)
		note_wait(self, begin, now);
	return now;
}

static void finished(struct lab_thread *self, int64_t now, int64_t took)
{
	lab_count(self);
	lab_emit(self, now, self->tid, LAB_OP, LAB_RUNNING, LAB_RUNNING, 0, took);
}

static int64_t sleep_until(struct load *load, struct lab_thread *self, int64_t when)
{
	struct timespec until = {
		.tv_sec = when / 1000000000, .tv_nsec = when % 1000000000,
	};
	int64_t begin;

	atomic_store_explicit(&self->due, when, memory_order_relaxed);
	begin = block_begin(load, self);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
	return block_end(load, self, begin);
}

/* Sleep, then compute; @urgent: latency counts from the end of the sleep. */
static int work_sleep(struct load *load, struct lab_thread *self, uint64_t turns,
		      bool urgent)
{
	int64_t begin = lab_now();
	int64_t deadline = begin + (int64_t)load->spec->idle_ns;
	int64_t now;

	sleep_until(load, self, deadline);
	lab_spin(load->run, turns);
	now = lab_now();
	finished(self, now, now - (urgent ? deadline : begin));
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
	now = block_begin(load, self);
	atomic_store_explicit(&worker->asked, now, memory_order_release);
	got = read(worker->fd[0], &byte, 1);
	now = block_end(load, self, now);
	finished(self, now, now - begin);
	return got == 1 ? 0 : -1;
}

static int work_lock(struct load *load, struct lab_thread *self)
{
	uint64_t turns = load->spec->busy_turns;
	int64_t begin = lab_now(), now;

	lab_spin(load->run, turns / 2);
	atomic_store_explicit(&self->due, 0, memory_order_relaxed);
	if (pthread_mutex_trylock(&load->lock)) {
		now = block_begin(load, self);
		pthread_mutex_lock(&load->lock);
		block_end(load, self, now);
	}
	lab_spin(load->run, turns - turns / 2);
	pthread_mutex_unlock(&load->lock);
	now = lab_now();
	finished(self, now, now - begin);
	return 0;
}

/*
 * Touch a page of a file that is no longer in memory. A worker forgets its pages
 * when it has touched all of them: that is expensive, as it takes all CPUs to empty
 * their lists of new pages.
 */
static int work_fault(struct load *load, struct lab_thread *self)
{
	struct worker *worker = &load->workers[self->index];
	size_t size = load->own_pages * page_size, offset = self->index * size;
	char *page = load->pages + offset + worker->fault * page_size;
	int64_t begin = lab_now(), now;

	lab_spin(load->run, load->spec->busy_turns);
	if (!worker->fault) {
		if (madvise(load->pages + offset, size, MADV_DONTNEED))
			return -1;
		posix_fadvise(load->spec->file, (off_t)offset, (off_t)size,
			      POSIX_FADV_DONTNEED);
	}
	worker->fault = (worker->fault + 1) % load->own_pages;
	atomic_store_explicit(&self->due, 0, memory_order_relaxed);
	now = block_begin(load, self);
	*(volatile char *)page;
	now = block_end(load, self, now);
	finished(self, now, now - begin);
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
	finished(self, now, now - begin);
	return 0;
}

static int work_storm(struct load *load, struct lab_thread *self)
{
	uint32_t generation = atomic_load(&load->generation);
	int64_t begin = block_begin(load, self), now;

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
	now = block_end(load, self, begin);
	finished(self, now, now - atomic_load(&load->woken_at));
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

static size_t file_size(const struct load *load)
{
	return (size_t)load->spec->workers * load->own_pages * page_size;
}

static int map_pages(struct load *load)
{
	struct lab_load *spec = load->spec;
	struct stat file;

	if (fstat(spec->file, &file))
		return -1;
	load->own_pages = (uint32_t)((size_t)file.st_size / page_size / spec->workers);
	if (!load->own_pages) {
		errno = EINVAL;
		return -1;
	}
	/*
	 * What was written stands in memory in pieces larger than a worker's part:
	 * while one of them is mapped its whole piece would stay. Read again, it
	 * comes page by page.
	 */
	posix_fadvise(spec->file, 0, 0, POSIX_FADV_DONTNEED);
	load->pages = mmap(NULL, file_size(load), PROT_READ, MAP_SHARED, spec->file, 0);
	if (load->pages == MAP_FAILED)
		return -1;
	/* Each fault reads its own page only. */
	return madvise(load->pages, file_size(load), MADV_RANDOM);
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
	return spec->work == LAB_WORK_FAULT ? map_pages(load) : 0;
}

void lab_work_teardown(struct load *load)
{
	for (uint32_t i = 0; i < load->spec->workers; i++)
		for (int end = 0; end < 2; end++)
			if (load->workers[i].fd[end] >= 0)
				close(load->workers[i].fd[end]);
	if (load->pages && load->pages != MAP_FAILED)
		munmap(load->pages, file_size(load));
}
