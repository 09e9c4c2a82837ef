// SPDX-License-Identifier: MIT
/*
 * Work that the kernel gives to a task that sleeps (TIF_NOTIFY_SIGNAL), here by
 * io_uring: a read that was submitted before completes while its thread sleeps in
 * UMCG. The work is done at once, the state stays, and no task spins.
 */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "libraw.h"

#define READS	3

static int fds[2];		/* what the ring reads from */
static int other[2];		/* what a worker blocks on */

static struct {
	int			fd;
	char			*rings;
	struct io_uring_params	p;
	struct io_uring_sqe	*sqes;
	char			buf[READS];
} ring;

static uint32_t *at(uint32_t offset)
{
	return (uint32_t *)(ring.rings + offset);
}

/* By the thread that is to get the work: READS reads of a byte each. */
static void submit(void)
{
	uint32_t mask = *at(ring.p.sq_off.ring_mask), tail = *at(ring.p.sq_off.tail);

	for (int i = 0; i < READS; i++, tail++) {
		struct io_uring_sqe *sqe = &ring.sqes[tail & mask];

		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = IORING_OP_READ;
		sqe->fd = fds[0];
		sqe->off = -1ULL;
		sqe->addr = (uint64_t)&ring.buf[i];
		sqe->len = 1;
		at(ring.p.sq_off.array)[tail & mask] = tail & mask;
	}
	__atomic_store_n(at(ring.p.sq_off.tail), tail, __ATOMIC_RELEASE);
	CHECK_EQ(syscall(SYS_io_uring_enter, ring.fd, READS, 0, 0, NULL, 0), READS);
}

static uint32_t completed(void)
{
	return __atomic_load_n(at(ring.p.cq_off.tail), __ATOMIC_ACQUIRE);
}

static void open_ring(void)
{
	memset(&ring, 0, sizeof(ring));
	ring.fd = syscall(SYS_io_uring_setup, 2 * READS, &ring.p);
	if (ring.fd < 0)
		raw_skip("needs io_uring: %s", strerror(errno));
	CHECK(ring.p.features & IORING_FEAT_SINGLE_MMAP);
	/* The rings follow one another; a page each is enough for these few. */
	ring.rings = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
			  IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
			 IORING_OFF_SQES);
	CHECK(ring.rings != MAP_FAILED && ring.sqes != MAP_FAILED);
	CHECK_EQ(completed(), 0);
}

static void close_ring(void)
{
	munmap(ring.rings, 8192);
	munmap(ring.sqes, 4096);
	close(ring.fd);
}

/* @t sleeps as thread @tid. Let one read of it complete, the @nth. */
static void complete_one(struct umcg_task *t, pid_t tid, uint32_t nth)
{
	uint64_t word = t->state_ts, used;

	CHECK_EQ(write(fds[1], "x", 1), 1);
	WAIT_FOR(completed() == nth);
	/* It settles; one that spins never does. What a busy machine takes from it counts as its own. */
	do {
		WAIT_FOR(asleep(tid));
		used = cpu_ns(tid);
		usleep(20000);
	} while (cpu_ns(tid) - used >= 10 * NS_PER_MS);
	CHECK_EQ(t->state_ts, word);
}

static struct umcg_task me, rec;
static volatile pid_t waiter_tid;

static void *waiter(void *arg)
{
	(void)arg;
	basic_register(&rec);
	submit();
	state_set(&rec, RUNNING, IDLE);
	waiter_tid = gettid();
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&rec, RUNNING);
	return NULL;
}

static void basic_task(void)
{
	pthread_t t;

	open_ring();
	basic_register(&me);
	t = spawn(waiter, NULL);
	WAIT_FOR(waiter_tid && asleep(waiter_tid));
	for (uint32_t i = 1; i <= READS; i++)
		complete_one(&rec, waiter_tid, i);
	CHECK(basic_wake(&me, &rec, waiter_tid));
	join(t);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	close_ring();
}

static struct pool pool;
static struct server s;
static struct worker w;

static void yields(struct worker *self)
{
	submit();
	worker_yield(self);
	self->count = 1;
}

static void reads(struct worker *self)
{
	char c;

	submit();
	CHECK_EQ(read(other[0], &c, 1), 1);
	self->count = 1;
}

static void end(void)
{
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
	pool.live--;
	close_ring();
}

static void worker_in_wait(void)
{
	open_ring();
	worker_start(&w, &pool, yields, NULL);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), IDLE);
	WAIT_FOR(state_of(&w.rec) == IDLE && asleep(w.tid));
	for (uint32_t i = 1; i <= READS; i++)
		complete_one(&w.rec, w.tid, i);
	end();
}

/* The work ends its sleep in the kernel, it comes to the list, and gets more of it. */
static void blocked_worker(void)
{
	open_ring();
	worker_start(&w, &pool, reads, NULL);
	server_expect(&s, &w);
	server_run(&s, &w);
	while (worker_on_list(&w))	/* before its read */
		server_run(&s, server_next(&s));
	CHECK_STATE(&w.rec, BLOCKED);
	WAIT_FOR(asleep(w.tid));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	server_expect(&s, &w);
	CHECK_STATE(&w.rec, IDLE);
	WAIT_FOR(completed() == 1);
	for (uint32_t i = 2; i <= READS; i++)
		complete_one(&w.rec, w.tid, i);
	CHECK_EQ(w.count, 0);
	/* The read is restarted. */
	CHECK_EQ(write(other[1], "x", 1), 1);
	end();
}

int main(void)
{
	raw_start();
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(pipe(other), 0);
	RUN(basic_task);
	server_register(&s, &pool);
	RUN(worker_in_wait);
	RUN(blocked_worker);
	server_unregister(&s);
	return 0;
}
