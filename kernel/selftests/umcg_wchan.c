// SPDX-License-Identifier: MIT
/* What /proc (and ps) says a blocked worker waits for is what it waits for. */
#include "libraw.h"

static struct pool pool;
static struct server s;
static struct worker w;
static int fds[2];

static void wchan(pid_t tid, char *buf, size_t size)
{
	CHECK(task_file(tid, "wchan", buf, size)[0]);
}

static void reads(struct worker *self)
{
	char c;

	CHECK_EQ(read(fds[0], &c, 1), 1);
	self->count = 1;
}

static void *plain(void *tid)
{
	char c;

	*(volatile pid_t *)tid = gettid();
	CHECK_EQ(read(fds[0], &c, 1), 1);
	return NULL;
}

int main(void)
{
	volatile pid_t tid = 0;
	char is[128], want[128];
	pthread_t t;

	raw_start();
	CHECK_EQ(pipe(fds), 0);
	t = spawn(plain, (void *)&tid);
	WAIT_FOR(tid && asleep(tid));
	wchan(tid, want, sizeof(want));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	join(t);
	if (!strcmp(want, "0"))
		raw_skip("no names in this kernel (CONFIG_KALLSYMS)");

	server_register(&s, &pool);
	worker_start(&w, &pool, reads, NULL);
	server_expect(&s, &w);
	do
		server_run(&s, &w);
	while (worker_on_list(&w) && server_expect(&s, &w));
	CHECK_STATE(&w.rec, BLOCKED);
	WAIT_FOR(asleep(w.tid));
	wchan(w.tid, is, sizeof(is));
	if (strcmp(is, want))
		FAIL("a worker in read() waits in %s, another thread in %s", is, want);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	worker_join(&w);
	pool.live--;
	server_unregister(&s);
	return 0;
}
