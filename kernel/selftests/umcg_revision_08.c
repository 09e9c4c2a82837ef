// SPDX-License-Identifier: MIT
/*
 * A client of revision 0.8: its records come from malloc() and are aligned to 16 bytes,
 * its workers register without options, and its server loop knows three steps only:
 * take a worker from the idle list, run it, again. A preempted worker is back on the
 * list, as one that has blocked.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "libraw.h"

#define WORKERS	8
#define SERVERS	2

struct task {
	char		odd[16];	/* puts the record off the cache line */
	struct umcg_task rec;
	volatile pid_t	tid;
	volatile long	work, preempted;
};

static uint64_t head;
static uint32_t idle_server;
static struct task *workers[WORKERS], *servers[SERVERS];
static volatile int live = WORKERS;
static volatile bool stop;
static int fds[2];

static struct task *task(uint32_t state)
{
	struct task *t = malloc(sizeof(*t));

	CHECK(t);
	memset(t, 0, sizeof(*t));
	rec_init(&t->rec, state);
	t->rec.idle_workers_ptr = (uint64_t)&head;
	t->rec.idle_server_tid_ptr = (uint64_t)&idle_server;
	return t;
}

/* --- server: get, run, again --- */

static struct task *queue[64];
static int queued;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Takes the whole list; what one server does not run at once another one may. */
static struct task *take(void)
{
	uint64_t node = __atomic_exchange_n(&head, 0, __ATOMIC_SEQ_CST), link;
	struct task *t = NULL;

	pthread_mutex_lock(&lock);
	for (; node; node = link) {
		t = (struct task *)(node - offsetof(struct task, rec.idle_workers_ptr));
		while ((link = __atomic_load_n(&t->rec.idle_workers_ptr, __ATOMIC_SEQ_CST)) ==
		       UMCG_IDLE_NODE_PENDING)
			usleep(1);
		__atomic_store_n(&t->rec.idle_workers_ptr, (uint64_t)&head, __ATOMIC_SEQ_CST);
		CHECK_EQ(state_of(&t->rec) & UMCG_TASK_STATE_MASK, IDLE);
		queue[queued++] = t;
		CHECK(queued <= WORKERS);
	}
	t = queued ? queue[0] : NULL;
	if (t)
		memmove(queue, queue + 1, --queued * sizeof(*queue));
	pthread_mutex_unlock(&lock);
	return t;
}

static struct task *get_idle_worker(struct task *self)
{
	struct task *t;

	while (!(t = take()) && live) {
		uint32_t none = 0, mine = self->tid;

		self->rec.next_tid = 0;
		state_set(&self->rec, RUNNING, IDLE);
		__atomic_compare_exchange_n(&idle_server, &none, mine, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&head, __ATOMIC_SEQ_CST))
			sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 5 * NS_PER_MS);
		state_cas(&self->rec, IDLE, RUNNING);
		__atomic_compare_exchange_n(&idle_server, &mine, 0, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
	}
	return t;
}

static void run(struct task *self, struct task *t)
{
	uint32_t st = state_of(&t->rec);

	CHECK_EQ(st & ~PREEMPTED, IDLE);
	if (st & PREEMPTED)
		t->preempted++;
	state_set(&self->rec, RUNNING, IDLE);
	state_set(&t->rec, st, RUNNING | LOCKED);
	t->rec.next_tid = self->tid;
	self->rec.next_tid = t->tid;
	state_set(&t->rec, RUNNING | LOCKED, RUNNING);
	while (state_of(&self->rec) != RUNNING) {
		int r = sys_wait(0, 0);

		CHECK(r == 0 || r == -EINTR);
		self->rec.next_tid = 0;
	}
	self->rec.next_tid = 0;
}

static void *serve(void *arg)
{
	struct task *self = arg, *t;

	self->tid = gettid();
	CHECK_EQ(sys_ctl(REGISTER, &self->rec), 0);
	while ((t = get_idle_worker(self)))
		run(self, t);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	return NULL;
}

/* --- workers: they compute, block and end --- */

static volatile long handled;

static void on_usr1(int sig)
{
	(void)sig;
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	struct task *self = arg;

	self->tid = gettid();
	CHECK_EQ(sys_ctl(REGISTER | WORKER, &self->rec), 0);
	while (!stop) {
		self->work++;
		if (self->work % 4096 == 0)
			nap(100000);
	}
	__atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	pthread_t w[WORKERS], s[SERVERS];
	long marked = 0, preempted = 0;
	uint32_t seed = 1;

	raw_start();
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	for (int i = 0; i < SERVERS; i++) {
		servers[i] = task(RUNNING);
		s[i] = spawn(serve, servers[i]);
	}
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = task(BLOCKED);
		w[i] = spawn(work, workers[i]);
	}
	/* The watchdog, revision 0.8's way, and by kick. */
	while (preempted < 300) {
		struct task *t = workers[raw_random(&seed) % WORKERS];

		if (t->tid && state_cas(&t->rec, RUNNING, RUNNING | PREEMPTED)) {
			marked++;
			if (marked & 1)
				syscall(SYS_tgkill, getpid(), t->tid, SIGUSR1);
			else
				sys_kick(0, t->tid);
		}
		usleep(500);
		preempted = 0;
		for (int i = 0; i < WORKERS; i++)
			preempted += workers[i]->preempted;
	}
	stop = true;
	for (int i = 0; i < WORKERS; i++) {
		join(w[i]);
		CHECK(workers[i]->work > 0);
		CHECK_STATE(&workers[i]->rec, NONE);
	}
	for (int i = 0; i < SERVERS; i++)
		join(s[i]);
	CHECK(marked >= preempted);
	CHECK(handled);
	CHECK_EQ(head, 0);
	return 0;
}
