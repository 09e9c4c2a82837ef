// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * One record a thread, in memory that umcg-run shares if it wants to read it. New
 * records are taken from the end as long as there is room, so that those of threads
 * that have ended stay readable; then from those.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"

__thread struct run_record *self;

static struct run_shared *shared;
static uint32_t process;		/* our index, if @counted */
static bool counted;
static _Atomic uint32_t hand;
static struct run_process uncounted;	/* there are more processes than there is room for */

static struct run_process *mine(void)
{
	return counted ? &shared->process[process] : &uncounted;
}

static struct run_shared *map(int fd)
{
	size_t size = settings.trace ? sizeof(*shared) : offsetof(struct run_shared, ring);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* umcg-run may have gone, and its number be another's. */
static struct run_shared *map_shared(const char *path)
{
	struct run_shared *found = NULL;
	struct stat stat;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &stat) && S_ISREG(stat.st_mode) && stat.st_size == (off_t)sizeof(*shared))
		found = map(fd);
	close(fd);
	if (found && (found->magic != RUN_MAGIC || found->layout != RUN_LAYOUT)) {
		munmap(found, offsetof(struct run_shared, ring));
		found = NULL;
	}
	return found;
}

void records_open(void)
{
	if (settings.shared[0])
		shared = map_shared(settings.shared);
	if (!shared) {
		settings.shared[0] = 0;
		shared = map(-1);
	}
}

void records_begin_process(void)
{
	int fd;

	if (counted || !shared)
		return;
	process = atomic_fetch_add(&shared->processes, 1);
	counted = process < RUN_PROCESSES;
	if (!counted)
		return;
	mine()->pid = getpid();
	fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, mine()->name, RUN_NAME - 1) > 0)
		mine()->name[strcspn(mine()->name, "\n")] = 0;
	close(fd);
}

void records_forked(void)
{
	counted = false;
}

static bool take(struct run_record *r, uint32_t from)
{
	uint32_t there = from;

	return atomic_compare_exchange_strong(&r->state, &there, RUN_THERE);
}

/* One of ours whose thread has gone, and whose server knows that. */
static struct run_record *find_ended(void)
{
	for (uint32_t i = 0; i < RUN_THREADS; i++) {
		struct run_record *r = &shared->record[atomic_fetch_add(&hand, 1) % RUN_THREADS];

		if (atomic_load(&r->state) == RUN_ENDED && counted && r->process == process &&
		    __atomic_load_n(&r->stats.state, __ATOMIC_ACQUIRE) == UMCG_SCHED_NONE &&
		    take(r, RUN_ENDED))
			return r;
	}
	return NULL;
}

/* One that is not read, so that the thread is counted and scheduled all the same. */
static struct run_record *loose_record(void)
{
	struct run_record *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (r == MAP_FAILED)
		return NULL;
	r->loose = true;
	r->state = RUN_THERE;
	atomic_fetch_add(&mine()->unseen, 1);
	return r;
}

struct run_record *record_get(void)
{
	uint32_t index = shared ? atomic_load(&shared->records) : RUN_THREADS;
	struct run_record *r = NULL;

	atomic_fetch_add(&mine()->threads, 1);
	if (index < RUN_THREADS)
		index = atomic_fetch_add(&shared->records, 1);
	if (index < RUN_THREADS)
		r = &shared->record[index];
	else if (shared)
		r = find_ended();
	if (!r)
		return loose_record();
	memset((char *)r + sizeof(r->state), 0, sizeof(*r) - sizeof(r->state));
	r->process = process;
	atomic_store(&r->state, RUN_THERE);
	return r;
}

void record_put(struct run_record *r)
{
	if (r->loose)
		munmap(r, sizeof(*r));
	else
		atomic_store(&r->state, RUN_ENDED);
}

struct run_ring *records_ring(void)
{
	return settings.trace && counted && process < RUN_RINGS ? &shared->ring[process] : NULL;
}

static uint32_t used(void)
{
	uint32_t n = shared ? atomic_load(&shared->records) : 0;

	return n < RUN_THREADS ? n : RUN_THREADS;
}

static bool is_mine(const struct run_record *r)
{
	return atomic_load(&r->state) == RUN_THERE && counted && r->process == process &&
	       __atomic_load_n(&r->tid, __ATOMIC_ACQUIRE);
}

struct run_record *record_of_thread(pthread_t thread)
{
	for (uint32_t i = 0; i < used(); i++)
		if (is_mine(&shared->record[i]) && pthread_equal(shared->record[i].thread, thread))
			return &shared->record[i];
	return NULL;
}

struct run_record *record_of_tid(int32_t tid)
{
	for (uint32_t i = 0; i < used(); i++)
		if (is_mine(&shared->record[i]) && shared->record[i].tid == tid)
			return &shared->record[i];
	return NULL;
}
