// SPDX-License-Identifier: MIT
/*
 * Two processes: servers and basic tasks that share their records may wake and
 * switch to each other if one may ptrace the other; everything else is refused.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "libraw.h"

#define ROUNDS	2000

struct side {
	struct umcg_task rec;
	volatile pid_t	tid;
	volatile long	rounds;
};

struct shared {
	struct side	side[2];
	struct pool	pool;
	struct worker	w;
	volatile int	phase;
	volatile int	result[8];
};

static struct shared *sh;
static struct server s;

static void ping(int me)
{
	struct side *own = &sh->side[me], *other = &sh->side[!me];

	basic_register(&own->rec);
	own->tid = getpid();
	if (me) {
		state_set(&own->rec, RUNNING, IDLE);
		basic_wait(&own->rec);
	} else {
		WAIT_FOR(other->tid && state_of(&other->rec) == IDLE);
	}
	while (own->rounds < ROUNDS) {
		CHECK_EQ(own->rounds, other->rounds - me);
		own->rounds++;
		if (me && own->rounds == ROUNDS)
			CHECK(basic_wake(&own->rec, &other->rec, other->tid));
		else
			basic_switch(&own->rec, &other->rec, other->tid);
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void ping_child(void *arg)
{
	(void)arg;
	ping(1);
}

static void switches(void)
{
	pid_t pid = child_start(ping_child, NULL);

	ping(0);
	CHECK_EQ(child_wait(pid), 0);
	CHECK_EQ(sh->side[1].rounds, ROUNDS);
}

static void dying_child(void *arg)
{
	(void)arg;
	basic_register(&sh->side[1].rec);
	sh->side[1].tid = getpid();
	state_set(&sh->side[1].rec, RUNNING, IDLE);
	sys_wait(0, 0);
}

/* The other side is killed in its wait: ESRCH, and our own wait can end. */
static void other_dies(void)
{
	struct side *own = &sh->side[0], *other = &sh->side[1];
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	pid = child_start(dying_child, NULL);
	basic_register(&own->rec);
	WAIT_FOR(other->tid && state_of(&other->rec) == IDLE);
	own->rec.next_tid = pid;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	kill(pid, SIGKILL);
	child_wait(pid);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -ESRCH);
	state_set(&own->rec, RUNNING, IDLE);
	CHECK_EQ(sys_wait(0, 0), -ESRCH);
	CHECK_STATE(&own->rec, IDLE);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

/* Without the right to ptrace the other: no wake, no switch, no kick. */
static void stranger_child(void *arg)
{
	struct side *own = &sh->side[1];

	(void)arg;
	CHECK_EQ(setgid(65534), 0);
	CHECK_EQ(setuid(65534), 0);
	basic_register(&own->rec);
	own->rec.next_tid = sh->side[0].tid;
	sh->result[0] = sys_wait(WAKE_ONLY, 0);
	state_set(&own->rec, RUNNING, IDLE);
	sh->result[1] = sys_wait(0, 0);
	sh->phase = 1;
	/* The other direction is allowed: the parent is root. */
	own->rec.next_tid = 0;
	own->tid = getpid();
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(&own->rec, RUNNING);
}

static void strangers(void)
{
	struct side *own = &sh->side[0], *other = &sh->side[1];
	pid_t pid;

	if (getuid())
		raw_skip("needs root, to give up its rights");
	memset(sh, 0, sizeof(*sh));
	basic_register(&own->rec);
	own->tid = getpid();
	pid = child_start(stranger_child, NULL);
	WAIT_FOR(sh->phase == 1 && other->tid);
	CHECK_EQ(sh->result[0], -EPERM);
	CHECK_EQ(sh->result[1], -EPERM);
	CHECK_STATE(&own->rec, RUNNING);
	CHECK(basic_wake(&own->rec, &other->rec, other->tid));
	CHECK_EQ(child_wait(pid), 0);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

/* A worker belongs to its own process: not even root may wake or kick it. */
static void meddler(void *arg)
{
	struct side *own = &sh->side[1];

	(void)arg;
	basic_register(&own->rec);
	own->rec.next_tid = sh->w.tid;
	sh->result[0] = sys_wait(WAKE_ONLY, 0);
	sh->result[1] = sys_kick(0, sh->w.tid);
	state_set(&own->rec, RUNNING, IDLE);
	sh->result[2] = sys_wait(0, 0);
}

static void yields(struct worker *self)
{
	worker_yield(self);
	self->count = 1;
}

static void foreign_worker(void)
{
	memset(sh, 0, sizeof(*sh));
	server_register(&s, &sh->pool);
	worker_start(&sh->w, &sh->pool, yields, NULL);
	server_expect(&s, &sh->w);
	CHECK_EQ(server_run_through(&s, &sh->w), IDLE);
	CHECK_EQ(in_child(meddler, NULL), 0);
	CHECK_EQ(sh->result[0], -EPERM);
	CHECK_EQ(sh->result[1], -EPERM);
	CHECK_EQ(sh->result[2], -EPERM);
	CHECK_STATE(&sh->w.rec, IDLE);
	CHECK_EQ(server_run_through(&s, &sh->w), NONE);
	worker_join(&sh->w);
	server_unregister(&s);
}

/* A worker that names a server of another process has none: its own process dies. */
static void nap_worker(struct worker *self)
{
	(void)self;
	for (;;)
		nap(NS_PER_MS);
}

static void foreign_server_child(void *arg)
{
	static struct pool own;
	static struct server server;
	static struct worker w;

	(void)arg;
	server_register(&server, &own);
	worker_start(&w, &own, nap_worker, NULL);
	server_expect(&server, &w);
	worker_claim(&w);
	state_set(&server.rec, RUNNING, IDLE);
	w.rec.next_tid = sh->side[0].tid;
	server.rec.next_tid = w.tid;
	state_set(&w.rec, RUNNING | LOCKED, RUNNING);
	sys_wait(0, 0);
	await_death();
}

static void foreign_server(void)
{
	struct side *own = &sh->side[0];
	uint64_t word;

	memset(sh, 0, sizeof(*sh));
	basic_register(&own->rec);
	own->tid = getpid();
	state_set(&own->rec, RUNNING, IDLE);
	word = own->rec.state_ts;
	check_dies(foreign_server_child, NULL, SIGSEGV, "worker with a foreign server");
	CHECK_EQ(own->rec.state_ts, word);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void naps_and_yields(struct worker *self)
{
	for (; self->count < 20; self->count++) {
		nap(1000);
		worker_yield(self);
	}
}

/* A whole group whose thread ids are not those that the kernel itself uses. */
static void inner_group(void *arg)
{
	static struct pool pool;
	static struct server server;
	static struct worker w[2];

	(void)arg;
	CHECK_EQ(getpid(), 1);
	server_register(&server, &pool);
	for (int i = 0; i < 2; i++)
		worker_start(&w[i], &pool, naps_and_yields, NULL);
	server_loop(&server);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(w[i].count, 20);
		worker_join(&w[i]);
	}
	/* No task of the processes around has a name in here. */
	server.rec.next_tid = sh->side[0].tid;
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), -ESRCH);
	server_unregister(&server);
	basic_register(&sh->side[1].rec);
	state_set(&sh->side[1].rec, RUNNING, IDLE);
	basic_wait(&sh->side[1].rec);
}

static void outer_process(void *arg)
{
	pid_t pid;

	(void)arg;
	CHECK_EQ(unshare(CLONE_NEWPID), 0);
	pid = child_start(inner_group, NULL);
	sh->side[1].tid = pid;
	CHECK_EQ(child_wait(pid), 0);
}

/* They have a name out here, and can be woken by it. */
static void pid_namespace(void)
{
	struct side *own = &sh->side[0], *other = &sh->side[1];
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	basic_register(&own->rec);
	own->tid = getpid();
	CHECK(own->tid > 3);
	pid = child_start(outer_process, NULL);
	WAIT_FOR(other->tid && state_of(&other->rec) == IDLE);
	CHECK(basic_wake(&own->rec, &other->rec, other->tid));
	CHECK_EQ(child_wait(pid), 0);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

int main(void)
{
	raw_start();
	sh = map_pages(1, MAP_SHARED);
	RUN(switches);
	RUN(other_dies);
	RUN(strangers);
	RUN(foreign_worker);
	RUN(foreign_server);
	RUN(pid_namespace);
	return 0;
}
