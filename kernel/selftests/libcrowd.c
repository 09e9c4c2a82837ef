// SPDX-License-Identifier: MIT
/* Block transitions whose page is absent: a crowd that no task serves, and a bystander. */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "libcrowd.h"

#define PAGE	4096

/* A pipe that no task writes to but the bystander's server, and one that lets members on. */
static int fds[2], gate[2];
static volatile long ready;		/* members that have come to the gate */

struct member {
	struct crowd	*crowd;
	struct pool	pool;
	struct server	server;
	struct worker	*worker;
};

static void drops_its_page(struct worker *self)
{
	struct crowd *c = ((struct member *)self->arg)->crowd;
	char byte;

	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(syscall(SYS_read, gate[0], &byte, 1), 1);
	if (c->mute)
		c->mute();
	__atomic_add_fetch(c->blocked, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(madvise(self, PAGE, MADV_DONTNEED), 0);
	/* Nothing of the page may be touched from here on. */
	syscall(SYS_read, fds[0], &byte, 1);
	raw_fail(__FILE__, __LINE__, "a member of the crowd went on");
}

static void *serves_member(void *arg)
{
	struct member *m = arg;

	server_register(&m->server, &m->pool);
	worker_start(m->worker, &m->pool, drops_its_page, m);
	server_loop(&m->server);
	raw_fail(__FILE__, __LINE__, "a server was told of what it cannot have been told");
}

void crowd_block(struct crowd *c)
{
	struct member *m = map_pages((c->size * sizeof(*m) + PAGE - 1) / PAGE, 0);

	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(pipe(gate), 0);
	if (c->ballast)
		memset(map_pages(c->ballast / PAGE, 0), 1, c->ballast);
	for (long i = 0; i < c->size; i++) {
		m[i].crowd = c;
		m[i].worker = (struct worker *)(c->pages + i * PAGE);
		spawn(serves_member, &m[i]);
	}
	/*
	 * The address space's lock is held for writing while threads are started: a member that
	 * waits for it has blocked too early, and its server would be the one that faults.
	 */
	WAIT_FOR(ready == c->size);
	for (long i = 0; i < c->size; i++)
		CHECK_EQ(write(gate[1], "x", 1), 1);
	for (;;)
		pause();
}

/* Threads of @pid that sleep, in whatever way. */
static long sleepers(pid_t pid)
{
	char path[64];
	struct dirent *d;
	long n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	CHECK(dir);
	while ((d = readdir(dir))) {
		char stat[512], *p;
		FILE *f;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", pid, d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(stat, sizeof(stat), f) && (p = strrchr(stat, ')')) && p[2] != 'R')
			n++;
		fclose(f);
	}
	closedir(dir);
	return n;
}

void crowd_wait(const struct crowd *c, pid_t pid)
{
	while (*c->blocked < c->size || sleepers(pid) != 2 * c->size + 1)
		nap(20 * NS_PER_MS);
}

/* --- the bystander --- */

static struct pool pool;
static struct server s;
static struct worker *w;

static void reads(struct worker *self)
{
	char byte;

	CHECK_EQ(madvise(self, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(syscall(SYS_read, fds[0], &byte, 1), 1);
	self->count++;
}

static void bystander(void *arg)
{
	(void)arg;
	CHECK_EQ(pipe(fds), 0);
	w = map_pages(1, MAP_SHARED);
	server_register(&s, &pool);
	worker_start(w, &pool, reads, NULL);
	server_expect(&s, w);
	/* Other blocks (a fault that waits for a lock) may come before. */
	do {
		while (server_run(&s, w), worker_on_list(w))
			server_expect(&s, w);
		WAIT_FOR(asleep(w->tid) || worker_on_list(w));
	} while (worker_on_list(w) && server_expect(&s, w));
	CHECK_STATE(&w->rec, BLOCKED);
	CHECK_EQ(w->count, 0);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	server_expect(&s, w);
	CHECK_EQ(server_run_through(&s, w), NONE);
	CHECK_EQ(w->count, 1);
	worker_join(w);
	server_unregister(&s);
}

void check_told(const char *when)
{
	raw_note(when);
	check_exits(bystander, NULL, 0, "a late block of another process");
}

long used_mb(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonPages: %ld", &kb) == 1)
			break;
	fclose(f);
	CHECK(kb >= 0);
	return kb >> 10;
}
