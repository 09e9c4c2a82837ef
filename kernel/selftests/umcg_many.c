// SPDX-License-Identifier: MIT
/* Ten thousand workers under one server: register, yield, block, end. */
#include <fcntl.h>

#include "libraw.h"

static struct pool pool;
static struct server s;
static int gate[2];

static void steps(struct worker *self)
{
	char c;

	worker_yield(self);
	CHECK_EQ(read(gate[0], &c, 1), 1);	/* all of them block here */
	self->count++;
}

static void raise_limit(const char *path, long want)
{
	FILE *f = fopen(path, "r");
	long is;

	CHECK(f && fscanf(f, "%ld", &is) == 1);
	fclose(f);
	if (is >= want)
		return;
	if (getuid())
		raw_skip("needs root, to raise %s from %ld to %ld", path, is, want);
	write_file(path, "%ld", want);
}

/* Kernel and user memory of one more thread is about 40 KB. */
static void need_memory(long workers)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &kb) == 1)
			break;
	fclose(f);
	if (kb < workers * 40)
		raw_skip("needs %ld MB of memory, has %ld", workers * 40 / 1024, kb / 1024);
	raise_limit("/proc/sys/kernel/threads-max", workers + 2000);
	raise_limit("/proc/sys/kernel/pid_max", workers + 2000);
}

int main(int argc, char **argv)
{
	long n, blocked = 0;
	struct worker *w;

	raw_start();
	n = raw_number(argc, argv, "WORKERS", 10000);
	need_memory(n);
	w = aligned_alloc(64, n * sizeof(*w));
	CHECK(w);
	CHECK_EQ(pipe(gate), 0);
	server_register(&s, &pool);
	for (long i = 0; i < n; i++)
		worker_start(&w[i], &pool, steps, NULL);
	/* Until all of them stand at the gate, in the kernel. */
	while (blocked < n) {
		struct worker *r = server_next(&s);
		uint32_t st = server_run(&s, r);

		if ((st & UMCG_TASK_STATE_MASK) == IDLE && !worker_on_list(r))
			server_push(&s, r);
		else
			blocked += st == BLOCKED;
	}
	raw_note("all blocked");
	for (long i = 0; i < n; i++)
		CHECK_EQ(write(gate[1], "x", 1), 1);
	server_loop(&s);
	CHECK_EQ(pool.live, 0);
	for (long i = 0; i < n; i++) {
		worker_join(&w[i]);
		CHECK_EQ(w[i].count, 1);
	}
	server_unregister(&s);
	return 0;
}
