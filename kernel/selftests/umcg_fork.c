// SPDX-License-Identifier: MIT
/* fork, vfork, clone, exec: which thread is a UMCG task afterwards, and which is not. */
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "libraw.h"

extern char **environ;

static struct pool pool;
static struct server s;
static struct worker w;
static bool thread_done;

/* The child of any UMCG task is an ordinary thread. */
static void ordinary_child(void *arg)
{
	struct umcg_task *inherited = arg;
	struct umcg_task before = *inherited, own;

	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	CHECK_EQ(sys_wait(0, 0), -EINVAL);
	nap(2 * NS_PER_MS);
	CHECK_EQ(memcmp(inherited, &before, sizeof(before)), 0);
	basic_register(&own);
	state_set(&own, RUNNING, IDLE);
	CHECK_EQ(sys_wait(MONOTONIC, 1), -ETIMEDOUT);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	/* The old record may serve again, in the child's own copy. */
	rec_init(inherited, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, inherited), 0);
}

static void server_forks(void)
{
	for (int i = 0; i < 10; i++)
		CHECK_EQ(in_child(ordinary_child, &s.rec), 0);
	CHECK_STATE(&s.rec, RUNNING);
	/* Copy-on-write has not parted us from our record. */
	state_set(&s.rec, RUNNING, IDLE);
	CHECK_EQ(sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + NS_PER_MS), -ETIMEDOUT);
	state_set(&s.rec, IDLE, RUNNING);
}

static void run_to_end(void (*fn)(struct worker *))
{
	worker_start(&w, &pool, fn, NULL);
	server_expect(&s, &w);
	while (server_run_through(&s, &w) != NONE)
		;
	CHECK_EQ(w.count, 1);
	worker_join(&w);
	pool.live--;
}

static void forking_worker(struct worker *self)
{
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		int status;

		CHECK(pid >= 0);
		if (!pid) {
			ordinary_child(&self->rec);
			_exit(5);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(WEXITSTATUS(status), 5);
		worker_yield(self);
	}
	self->count = 1;
}

static void vforking_worker(struct worker *self)
{
	for (int i = 0; i < 5; i++) {
		char *argv[] = { "umcg_fork", "ordinary", NULL };
		pid_t pid;
		int status;

		CHECK_EQ(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
	self->count = 1;
}

/* A thread that a worker creates may sleep; its creator's word stays as it is. */
static void *ordinary_thread(void *arg)
{
	struct worker *self = arg;
	uint64_t word = __atomic_load_n(&self->rec.state_ts, __ATOMIC_SEQ_CST);

	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	nap(NS_PER_MS);
	CHECK_EQ(self->rec.state_ts, word);
	__atomic_store_n(&thread_done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static void cloning_worker(struct worker *self)
{
	for (int i = 0; i < 10; i++) {
		pthread_t t;

		/* LOCKED, so that the creation itself is no block either. */
		state_set(&self->rec, RUNNING, RUNNING | LOCKED);
		thread_done = false;
		t = spawn(ordinary_thread, self);
		WAIT_FOR(__atomic_load_n(&thread_done, __ATOMIC_SEQ_CST));
		state_set(&self->rec, RUNNING | LOCKED, RUNNING);
		join(t);
	}
	self->count = 1;
}

static void worker_forks(void) { run_to_end(forking_worker); }
static void worker_spawns(void) { run_to_end(vforking_worker); }
static void worker_clones(void) { run_to_end(cloning_worker); }

static void exec_self(const char *what)
{
	execl("/proc/self/exe", "umcg_fork", what, NULL);
	FAIL("exec of myself: %s", strerror(errno));
}

static void basic_execs(void *arg)
{
	struct umcg_task *t = map_pages(1, 0);

	(void)arg;
	basic_register(t);
	exec_self("ordinary");
}

static void execing_worker(struct worker *self)
{
	(void)self;
	exec_self("ordinary");
}

/* One worker of several calls exec: the others and the server are gone. */
static void worker_execs(void *arg)
{
	static struct pool own;
	static struct server server;
	static struct worker workers[4];

	(void)arg;
	for (int i = 0; i < 4; i++)
		worker_start(&workers[i], &own, i < 3 ? forking_worker : execing_worker, NULL);
	server_register(&server, &own);
	server_loop(&server);
	FAIL("the server survived an exec");
}

/* An exec that fails changes nothing. */
static void failed_exec(void)
{
	CHECK_EQ(execl("/no/such/program", "x", NULL), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_EQ(sys_ctl(REGISTER, &s.rec), -EINVAL);
}

static void execs(void)
{
	for (int i = 0; i < 5; i++) {
		check_exits(basic_execs, NULL, 0, "exec of a basic task");
		check_exits(worker_execs, NULL, 0, "exec of a worker");
	}
}

/* What the new image of an exec or spawn does. */
static int ordinary_image(void)
{
	static struct umcg_task own;

	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	CHECK_EQ(sys_wait(0, 0), -EINVAL);
	nap(NS_PER_MS);
	basic_register(&own);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ordinary"))
		return ordinary_image();
	raw_start();
	RUN(execs);
	server_register(&s, &pool);
	RUN(failed_exec);
	RUN(server_forks);
	RUN(worker_forks);
	RUN(worker_spawns);
	RUN(worker_clones);
	server_unregister(&s);
	return 0;
}
