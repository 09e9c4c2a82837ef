// SPDX-License-Identifier: MIT
/* umcg_ctl: every row of its table, every error. */
#include <stdatomic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "libraw.h"

static struct umcg_task rec;
static uint64_t head;
static uint32_t slot[2];

static void version(void)
{
	CHECK_EQ(sys_ctl(UMCG_CTL_VERSION, NULL), 1);
	CHECK_EQ(sys_ctl(UMCG_CTL_VERSION, &rec), -EINVAL);
	CHECK_EQ(sys_ctl(UMCG_CTL_VERSION | REGISTER, &rec), -EINVAL);
	CHECK_EQ(sys_ctl(UMCG_CTL_VERSION | UNREGISTER, NULL), -EINVAL);
}

static void bad_flags(void)
{
	static const uint32_t bad[] = {
		0, WORKER, UNREGISTER | WORKER, REGISTER | UNREGISTER,
		REGISTER | 0x8, REGISTER | 0x80000000, 0x10, 0xffffffff,
		REGISTER | HOLD_SIGNALS, REGISTER | KEEP_PREEMPTED,	/* of a server */
		UNREGISTER | HOLD_SIGNALS, UNREGISTER | WORKER | KEEP_PREEMPTED,
		REGISTER | WORKER | 0x80000,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		rec_init(&rec, bad[i] & WORKER ? BLOCKED : RUNNING);
		CHECK_EQ(sys_ctl(bad[i], &rec), -EINVAL);
		CHECK_EQ(sys_ctl(bad[i], NULL), -EINVAL);
	}
	/* None of them registered anything. */
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
}

static void bad_server(void)
{
	static const uint32_t states[] = {
		NONE, IDLE, BLOCKED, 4, 0x3f, RUNNING | LOCKED, RUNNING | PREEMPTED,
		RUNNING | 0x100, RUNNING | FREE, RUNNING | 0x1000,
	};
	char *page = map_pages(2, 0);

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		rec_init(&rec, states[i]);
		CHECK_EQ(sys_ctl(REGISTER, &rec), -EINVAL);
	}
	rec_init(&rec, RUNNING);
	rec.next_tid = gettid();
	CHECK_EQ(sys_ctl(REGISTER, &rec), -EINVAL);
	rec_init(&rec, RUNNING);
	rec.flags = 1;
	CHECK_EQ(sys_ctl(REGISTER, &rec), -EINVAL);
	rec_init(&rec, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, NULL), -EINVAL);
	/* Misaligned: the record itself would be in order. */
	for (int off = 1; off < 64; off++) {
		rec_init(&rec, RUNNING);
		memcpy(page + off, &rec, sizeof(rec));
		CHECK_EQ(sys_ctl(REGISTER, (void *)(page + off)), off % 8 ? -EINVAL : 0);
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), off % 8 ? -EINVAL : 0);
	}
	/* Reserved: each byte that is not zero. */
	for (int off = 32; off < 64; off++) {
		rec_init(&rec, RUNNING);
		((char *)&rec)[off] = 1;
		CHECK_EQ(sys_ctl(REGISTER, &rec), -EINVAL);
	}
	/* Not mapped, and the kernel's own addresses. */
	CHECK_EQ(munmap(page, 8192), 0);
	CHECK_EQ(sys_ctl(REGISTER, (void *)page), -EFAULT);
	CHECK_EQ(sys_ctl(REGISTER, (void *)0xffffffff81000000), -EFAULT);
	CHECK_EQ(sys_ctl(REGISTER, (void *)0xffff888000000000), -EFAULT);
	CHECK_EQ(sys_ctl(REGISTER, (void *)0x8000000000000000), -EFAULT);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
}

/* A record that can be read but not written, which the kernel has to do later. */
static void read_only(void)
{
	struct umcg_task *t = map_pages(1, 0);

	for (uint32_t flags = REGISTER;; flags |= WORKER) {
		rec_init(t, flags & WORKER ? BLOCKED : RUNNING);
		t->idle_workers_ptr = (uint64_t)&head;
		t->idle_server_tid_ptr = (uint64_t)slot;
		CHECK_EQ(mprotect(t, 4096, PROT_READ), 0);
		CHECK_EQ(sys_ctl(flags, t), -EFAULT);
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
		CHECK_EQ(mprotect(t, 4096, PROT_READ | PROT_WRITE), 0);
		if (flags & WORKER)
			break;
	}
	CHECK_EQ(head, 0);
	munmap(t, 4096);
}

/* As before, but only the part of the record behind the border of two pages. */
static void half_read_only(void)
{
	char *page = map_pages(2, 0);
	struct umcg_task *t = (struct umcg_task *)(page + 4096 - 16);

	rec_init(t, BLOCKED);
	t->idle_workers_ptr = (uint64_t)&head;
	t->idle_server_tid_ptr = (uint64_t)slot;
	CHECK_EQ(mprotect(page + 4096, 4096, PROT_READ), 0);
	CHECK_EQ(sys_ctl(REGISTER | WORKER, t), -EFAULT);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	CHECK_EQ(head, 0);
	munmap(page, 8192);
}

/* A record is one thread's: whose it is, and what else shares the memory. */
static void *takes_it(void *arg)
{
	uint32_t flags = (uintptr_t)arg;

	CHECK_EQ(sys_ctl(flags, &rec), -EINVAL);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	return NULL;
}

static int takes_it_too(void *arg)
{
	return sys_ctl(REGISTER, arg) == -EINVAL ? 0 : 1;
}

/* In a thread that ends without having unregistered. */
static void *has_it(void *arg)
{
	(void)arg;
	CHECK_EQ(sys_ctl(REGISTER, &rec), 0);
	return NULL;
}

static void registered_twice(void)
{
	char *stack = map_pages(16, 0);
	pid_t pid;

	rec_init(&rec, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, &rec), 0);
	join(spawn(takes_it, (void *)(uintptr_t)REGISTER));
	pid = clone(takes_it_too, stack + 16 * 4096, CLONE_VM | SIGCHLD, &rec);
	CHECK(pid > 0);
	CHECK_EQ(child_wait(pid), 0);
	/* As far as a worker can be told from its server by the word alone. */
	rec.idle_workers_ptr = (uint64_t)&head;
	rec.idle_server_tid_ptr = (uint64_t)slot;
	state_set(&rec, RUNNING, BLOCKED);
	join(spawn(takes_it, (void *)(uintptr_t)(REGISTER | WORKER)));
	CHECK_EQ(head, 0);
	/* Free again: after it was given up, and when its thread has ended. */
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	for (int i = 0; i < 2; i++) {
		rec_init(&rec, RUNNING);
		join(spawn(has_it, NULL));
		CHECK_STATE(&rec, NONE);
	}
}

static void server(void)
{
	struct umcg_task before, other;

	for (int i = 0; i < 100; i++) {
		rec_init(&rec, RUNNING);
		/* A server's two pointers are ignored. */
		rec.idle_workers_ptr = i & 1 ? 1 : 0xffffffff81000000;
		rec.idle_server_tid_ptr = i & 1 ? 3 : ~0ULL;
		CHECK_EQ(sys_ctl(REGISTER, &rec), 0);
		CHECK_STATE(&rec, RUNNING);
		rec_init(&other, RUNNING);
		CHECK_EQ(sys_ctl(REGISTER, &rec), -EINVAL);
		CHECK_EQ(sys_ctl(REGISTER, &other), -EINVAL);
		CHECK_EQ(sys_ctl(UNREGISTER, &rec), -EINVAL);
		before = rec;
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
		CHECK_EQ(memcmp(&before, &rec, sizeof(rec)), 0);
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	}
	/* The user's own bits and any timestamp are no error. */
	rec_init(&rec, RUNNING | USER_BITS);
	rec.state_ts |= ~0ULL << 18;
	CHECK_EQ(sys_ctl(REGISTER, &rec), 0);
	CHECK_STATE(&rec, RUNNING | USER_BITS);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void init_worker(void)
{
	rec_init(&rec, BLOCKED);
	rec.idle_workers_ptr = (uint64_t)&head;
	rec.idle_server_tid_ptr = (uint64_t)slot;
}

static int worker_with(uint64_t list, uint64_t server)
{
	init_worker();
	rec.idle_workers_ptr = list;
	rec.idle_server_tid_ptr = server;
	return sys_ctl(REGISTER | WORKER, &rec);
}

static void bad_worker(void)
{
	static const uint32_t states[] = {
		NONE, RUNNING, IDLE, 4, BLOCKED | LOCKED, BLOCKED | PREEMPTED, BLOCKED | 0x100,
	};
	uint64_t l = (uint64_t)&head, s = (uint64_t)slot;
	char *page = map_pages(1, 0);

	CHECK_EQ(munmap(page, 4096), 0);
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		init_worker();
		state_set(&rec, BLOCKED, states[i]);
		CHECK_EQ(sys_ctl(REGISTER | WORKER, &rec), -EINVAL);
	}
	init_worker();
	rec.next_tid = gettid();
	CHECK_EQ(sys_ctl(REGISTER | WORKER, &rec), -EINVAL);
	init_worker();
	rec.flags = 0x80000000;
	CHECK_EQ(sys_ctl(REGISTER | WORKER, &rec), -EINVAL);
	CHECK_EQ(sys_ctl(REGISTER | WORKER, NULL), -EINVAL);
	init_worker();
	((char *)&rec)[63] = 1;
	CHECK_EQ(sys_ctl(REGISTER | WORKER, &rec), -EINVAL);
	CHECK_EQ(sys_ctl(REGISTER | WORKER, (void *)page), -EFAULT);
	CHECK_EQ(worker_with(0, s), -EINVAL);
	CHECK_EQ(worker_with(l, 0), -EINVAL);
	CHECK_EQ(worker_with(l + 4, s), -EINVAL);
	CHECK_EQ(worker_with(l, s + 2), -EINVAL);
	CHECK_EQ(worker_with((uint64_t)page, s), -EFAULT);
	CHECK_EQ(worker_with(l, (uint64_t)page), -EFAULT);
	CHECK_EQ(worker_with(0xffff888000000000, s), -EFAULT);
	CHECK_EQ(worker_with(l, 0xffff888000000000), -EFAULT);
	/* Nothing was pushed, no task is registered. */
	CHECK_EQ(head, 0);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
}

static void worker_end(struct worker *w)
{
	struct umcg_task before, other;

	rec_init(&other, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, &other), -EINVAL);
	CHECK_EQ(sys_ctl(REGISTER | WORKER, &w->rec), -EINVAL);
	CHECK_EQ(sys_ctl(UNREGISTER, &w->rec), -EINVAL);
	/* LOCKED: from here on a block is no business of the kernel's. */
	state_set(&w->rec, RUNNING, RUNNING | LOCKED);
	before = w->rec;
	if (w->arg)
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	state_set(&w->server->rec, IDLE, RUNNING);
	if (!w->arg) {	/* wake the server before, as a UMCG task ... */
		CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	}		/* ... or after: here the main thread's timeout does */
	CHECK_EQ(memcmp(&before, &w->rec, sizeof(before)), 0);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
	/* An ordinary thread: it may sleep without any task being told. */
	nap(NS_PER_MS);
	CHECK_STATE(&w->rec, RUNNING | LOCKED);
	/* And it may become a server, or a basic task. */
	CHECK_EQ(sys_ctl(REGISTER, &other), 0);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void worker(void)
{
	static struct pool pool;
	static struct server s;
	static struct worker w[2];

	server_register(&s, &pool);
	for (long i = 0; i < 2; i++) {
		worker_start(&w[i], &pool, worker_end, (void *)i);
		server_expect(&s, &w[i]);
		CHECK_STATE(&w[i].rec, IDLE);
		server_start_run(&s, &w[i]);
		while (state_of(&s.rec) == IDLE) {
			int r = sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 5 * NS_PER_MS);

			CHECK(r == 0 || r == -ETIMEDOUT);
			s.rec.next_tid = 0;
		}
		CHECK_STATE(&s.rec, RUNNING);
		worker_join(&w[i]);
	}
	CHECK_EQ(pool.head, 0);
	server_unregister(&s);
}

static atomic_bool stop;

static void *change_our_bits(void *arg)
{
	struct umcg_task *t = arg;

	for (uint32_t i = 0; !stop; i++) {
		uint32_t state = state_of(t);

		state_cas(t, state, (state & ~USER_BITS) | (i << 13 & USER_BITS));
	}
	return NULL;
}

/* Others may know the thread already: the bits that are ours change meanwhile. */
static void beside_changes(void)
{
	pthread_t thread;

	stop = false;
	rec_init(&rec, RUNNING);
	thread = spawn(change_our_bits, &rec);
	for (int i = 0; i < 5000; i++) {
		CHECK_EQ(sys_ctl(REGISTER, &rec), 0);
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	}
	stop = true;
	join(thread);
}

int main(void)
{
	raw_start();
	RUN(version);
	RUN(bad_flags);
	RUN(bad_server);
	RUN(server);
	RUN(registered_twice);
	RUN(bad_worker);
	RUN(read_only);
	RUN(half_read_only);
	RUN(worker);
	RUN(beside_changes);
	return 0;
}
