// SPDX-License-Identifier: MIT
/* What threads wait for, and how they tell of it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lab.h"

static const size_t page_size = 4096;

/*
 * Around every call that may block. A plain thread tells of its states itself; of
 * workers the scheduler does, and its rows take from here since when, and what for.
 */
int64_t lab_block_begin(struct lab_thread *self)
{
	int64_t now = lab_now();

	atomic_store_explicit(&self->blocked, 1, memory_order_relaxed);
	if (self->role != LAB_WORKER)
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

int64_t lab_block_end(struct lab_thread *self, int64_t begin)
{
	int64_t now = lab_now();

	atomic_store_explicit(&self->blocked, 0, memory_order_relaxed);
	if (self->role != LAB_WORKER)
		lab_emit(self, now, self->tid, LAB_WAKE, LAB_BLOCKED, LAB_RUNNING, 0, 0);
	else if (self->waits && self->nr_waits < self->max_events)
		note_wait(self, begin, now);
	return now;
}

void lab_finished(struct lab_thread *self, int64_t now, int64_t took)
{
	lab_count(self);
	lab_emit(self, now, self->tid, LAB_OP, LAB_RUNNING, LAB_RUNNING, 0, took);
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

void lab_rest_until(int64_t when)
{
	struct timespec until = timespec_of(when);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

int64_t lab_sleep_until(struct lab_thread *self, int64_t when)
{
	struct timespec until = timespec_of(when);
	int64_t begin;

	atomic_store_explicit(&self->due, when, memory_order_relaxed);
	begin = lab_block_begin(self);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
	return lab_block_end(self, begin);
}

int lab_pages_map(struct lab_pages *pages, int file, uint32_t threads)
{
	struct stat of;

	if (fstat(file, &of))
		return -1;
	*pages = (struct lab_pages){
		.file = file, .each = (uint32_t)((size_t)of.st_size / page_size / threads),
	};
	if (!pages->each) {
		errno = EINVAL;
		return -1;
	}
	/*
	 * What was written stands in memory in pieces larger than a thread's part:
	 * while one of them is mapped its whole piece would stay. Read again, it
	 * comes page by page.
	 */
	posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	pages->size = (size_t)threads * pages->each * page_size;
	pages->at = mmap(NULL, pages->size, PROT_READ, MAP_SHARED, file, 0);
	if (pages->at == MAP_FAILED) {
		pages->at = NULL;
		return -1;
	}
	/* Each fault reads its own page only. */
	return madvise(pages->at, pages->size, MADV_RANDOM);
}

void lab_pages_unmap(struct lab_pages *pages)
{
	if (pages->at)
		munmap(pages->at, pages->size);
}

/*
 * A thread forgets its pages when it has touched all of them: that is expensive, as it
 * takes all CPUs to empty their lists of new pages.
 */
int lab_pages_touch(struct lab_pages *pages, struct lab_thread *self, uint32_t *next)
{
	size_t size = pages->each * page_size, offset = self->index * size;
	char *page = pages->at + offset + *next * page_size;
	int64_t begin;

	if (!*next) {
		if (madvise(pages->at + offset, size, MADV_DONTNEED))
			return -1;
		posix_fadvise(pages->file, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
	}
	*next = (*next + 1) % pages->each;
	atomic_store_explicit(&self->due, 0, memory_order_relaxed);
	begin = lab_block_begin(self);
	*(volatile char *)page;
	lab_block_end(self, begin);
	return 0;
}

void lab_go_first(void)
{
	struct sched_param param = { .sched_priority = 50 };

	sched_setscheduler(0, SCHED_FIFO, &param);
}
