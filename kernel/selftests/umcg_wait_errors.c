// SPDX-License-Identifier: MIT
/* umcg_wait and umcg_kick: every error, for servers, basic tasks and workers. */
#include <sys/mman.h>

#include "libraw.h"

#define NO_SUCH_TID	0x3ffffff0

static struct umcg_task rec;

static void unregistered(void)
{
	CHECK_EQ(sys_wait(0, 0), -EINVAL);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -EINVAL);
	CHECK_EQ(sys_wait(MONOTONIC, 1), -EINVAL);
}

static void arguments(void)
{
	static const uint32_t bad[] = {
		0x8, 0x10, 0x80000000, 0xffffffff,
		WF_CURRENT_CPU, WF_CURRENT_CPU | MONOTONIC, WAKE_ONLY | MONOTONIC,
		WAKE_ONLY | WF_CURRENT_CPU | MONOTONIC,
	};

	for (int state = RUNNING; state <= IDLE; state++) {
		basic_register(&rec);
		if (state == IDLE)
			state_set(&rec, RUNNING, IDLE);
		for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
			CHECK_EQ(sys_wait(bad[i], 0), -EINVAL);
		/* WAKE_ONLY: no task to wake, or a timeout. */
		CHECK_EQ(sys_wait(WAKE_ONLY, 0), -EINVAL);
		CHECK_EQ(sys_wait(WAKE_ONLY | WF_CURRENT_CPU, 0), -EINVAL);
		rec.next_tid = 1;
		CHECK_EQ(sys_wait(WAKE_ONLY, 1), -EINVAL);
		/* Itself. */
		rec.next_tid = gettid();
		CHECK_EQ(sys_wait(0, 0), -EINVAL);
		CHECK_EQ(sys_wait(WAKE_ONLY, 0), -EINVAL);
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	}
}

static pid_t plain_tid;
static bool plain_end;

static void *plain(void *arg)
{
	(void)arg;
	__atomic_store_n(&plain_tid, gettid(), __ATOMIC_SEQ_CST);
	WAIT_FOR(__atomic_load_n(&plain_end, __ATOMIC_SEQ_CST));
	return NULL;
}

static void no_such_task(void)
{
	pthread_t t = spawn(plain, NULL);
	pid_t bad[] = { NO_SUCH_TID, -1, 0, 0, 0 };
	pid_t gone;

	WAIT_FOR(__atomic_load_n(&plain_tid, __ATOMIC_SEQ_CST));
	gone = fork();
	if (!gone)
		_exit(0);
	child_wait(gone);
	bad[2] = plain_tid;	/* an ordinary thread */
	bad[3] = gone;		/* no longer there */
	bad[4] = 1;		/* another process, not a UMCG task */
	basic_register(&rec);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		for (uint32_t flags = 0; flags <= (WAKE_ONLY | WF_CURRENT_CPU); flags++) {
			int r;

			if (flags == WF_CURRENT_CPU)
				continue;
			rec.next_tid = bad[i];
			if (!flags)
				state_set(&rec, RUNNING, IDLE);
			r = sys_wait(flags, 0);
			/* Process 1 is foreign: that may be found out first. */
			CHECK(r == -ESRCH || (bad[i] == 1 && r == -EPERM));
			/* The caller's state is the caller's to put right. */
			CHECK_STATE(&rec, flags ? RUNNING : IDLE);
			state_cas(&rec, IDLE, RUNNING);
		}
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	__atomic_store_n(&plain_end, true, __ATOMIC_SEQ_CST);
	join(t);
}

static void lost_record(void)
{
	struct umcg_task *t = map_pages(1, 0);

	basic_register(t);
	CHECK_EQ(munmap(t, 4096), 0);
	CHECK_EQ(sys_wait(0, 0), -EFAULT);
	CHECK_EQ(sys_wait(MONOTONIC, 1), -EFAULT);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -EFAULT);
	/* It can still leave. */
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), -EINVAL);
}

static struct pool pool;
static struct server s;
static struct worker w;

static void makes_mistakes(struct worker *self)
{
	/* LOCKED, as a block would find no server in next_tid. */
	uint32_t words[] = { RUNNING | LOCKED, IDLE | LOCKED };

	for (int i = 0; i < 2; i++) {
		state_set(&self->rec, RUNNING, words[i]);
		for (uint32_t flag = 0x8; flag; flag <<= 1)
			CHECK_EQ(sys_wait(flag, 0), -EINVAL);
		CHECK_EQ(sys_wait(WF_CURRENT_CPU, 0), -EINVAL);
		CHECK_EQ(sys_wait(WAKE_ONLY, 1), -EINVAL);
		CHECK_EQ(sys_wait(WAKE_ONLY | MONOTONIC, 0), -EINVAL);
		self->rec.next_tid = 0;
		CHECK_EQ(sys_wait(WAKE_ONLY, 0), -EINVAL);
		self->rec.next_tid = self->tid;
		CHECK_EQ(sys_wait(0, 0), -EINVAL);
		self->rec.next_tid = NO_SUCH_TID;
		CHECK_EQ(sys_wait(WAKE_ONLY, 0), -ESRCH);
		CHECK_EQ(sys_wait(0, 0), -ESRCH);
		/* Nothing has happened: still LOCKED, still with its server. */
		CHECK_STATE(&self->rec, words[i]);
		CHECK_STATE(&s.rec, IDLE);
		self->rec.next_tid = s.tid;
		state_set(&self->rec, words[i], RUNNING);
	}
	self->count = 1;
}

/* A worker's mistakes are told to it, and it goes on as a worker. */
static void worker(void)
{
	server_register(&s, &pool);
	worker_start(&w, &pool, makes_mistakes, NULL);
	server_expect(&s, &w);
	CHECK_EQ(server_run_through(&s, &w), NONE);
	CHECK_EQ(w.count, 1);
	worker_join(&w);
	server_unregister(&s);
}

static void kick(void)
{
	for (int umcg = 0; umcg < 2; umcg++) {
		int r;

		if (umcg)
			basic_register(&rec);
		CHECK_EQ(sys_kick(1, gettid()), -EINVAL);
		CHECK_EQ(sys_kick(0x80000000, NO_SUCH_TID), -EINVAL);
		CHECK_EQ(sys_kick(0, NO_SUCH_TID), -ESRCH);
		CHECK_EQ(sys_kick(0, -1), -ESRCH);
		/* A server, or an ordinary thread: no worker of that name. */
		CHECK_EQ(sys_kick(0, gettid()), -ESRCH);
		r = sys_kick(0, 1);	/* a stranger: either may be found first */
		CHECK(r == -ESRCH || r == -EPERM);
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

int main(void)
{
	raw_start();
	RUN(unregistered);
	RUN(arguments);
	RUN(no_such_task);
	RUN(lost_record);
	RUN(kick);
	RUN(worker);
	return 0;
}
