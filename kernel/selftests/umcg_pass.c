// SPDX-License-Identifier: MIT
/* A place passes on without its server: each transition, what ends it, and which task is told. */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "libplace.h"

static struct places places;
static struct seat seats[2];
static struct tenant one, two;
static struct umcg_task me;
static int fds[2][2];

static uint32_t slot(int nr)
{
	return __atomic_load_n(&places.slots[nr], __ATOMIC_SEQ_CST);
}

static pthread_t threads[2];

static void begin(int servers, uint32_t permission)
{
	memset(&places, 0, sizeof(places));
	memset(seats, 0, sizeof(seats));
	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	places.servers = servers;
	places.permission = permission;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pipe(fds[i]), 0);
	for (int i = 0; i < servers; i++) {
		threads[i] = seat_start(&seats[i], &places, i, servers > 1 && i < cpus() ? i : 0);
		WAIT_FOR(state_of(&seats[i].rec) == (IDLE | FREE | permission));
	}
}

static void end(void)
{
	places_stop(&places, seats, &me);
	for (int i = 0; i < places.servers; i++)
		join(threads[i]);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

static void hear(struct tenant *t)
{
	char c;

	CHECK_EQ(read(fds[t == &two][0], &c, 1), 1);
}

static void tell(struct tenant *t)
{
	CHECK_EQ(write(fds[t == &two][1], "x", 1), 1);
}

static void reads_for_ever(struct tenant *t)
{
	for (;;) {
		hear(t);
		t->count++;
	}
}

static void reads_thrice(struct tenant *t)
{
	for (int i = 0; i < 3; i++) {
		hear(t);
		/* A worker in user mode has a place. */
		CHECK_STATE(&t->rec, RUNNING);
		t->count++;
	}
}

static void features(void)
{
	CHECK_EQ(sys_ctl(UMCG_CTL_FEATURES, NULL) & UMCG_FEATURE_ADOPT, UMCG_FEATURE_ADOPT);
	CHECK_EQ(sys_ctl(UMCG_CTL_VERSION, NULL), UMCG_ABI_VERSION);
	CHECK_EQ(sys_ctl(UMCG_CTL_FEATURES, &me), -EINVAL);
	CHECK_EQ(sys_ctl(UMCG_CTL_FEATURES | WORKER, NULL), -EINVAL);
}

/* Without permission the server is told of every block and nothing is counted. */
static void no_permission(void)
{
	begin(1, 0);
	tenant_start(&one, &places, reads_thrice);
	for (int i = 0; i < 3; i++) {
		WAIT_FOR(one.count == i && tenant_blocked(&one) &&
			 state_of(&seats[0].rec) == (IDLE | FREE));
		CHECK_EQ(slot(0), seats[0].tid);
		tell(&one);
	}
	join(one.thread);
	WAIT_FOR(seats[0].told == 4);
	CHECK_EQ(seats[0].rec.passes, 0);
	end();
}

/* One block, one adoption: words, tenant, count, slot, and no task is woken. */
static void block_and_adopt(void)
{
	begin(1, ADOPT);
	tenant_start(&one, &places, reads_thrice);
	for (int i = 0; i < 3; i++) {
		WAIT_FOR(one.count == i && tenant_blocked(&one) &&
			 state_of(&seats[0].rec) == OFFERS);
		WAIT_FOR(slot(0) == (uint32_t)seats[0].tid);
		CHECK_EQ(seats[0].rec.tenant_tid, one.tid);
		CHECK_EQ(seats[0].rec.passes, 2 * i + 1);
		CHECK_EQ(seats[0].told, 0);
		tell(&one);
	}
	join(one.thread);
	WAIT_FOR(seats[0].told == 1);	/* of the end */
	CHECK_EQ(seats[0].rec.passes, 6);
	end();
}

/* The second finds the place that the first has left. */
static void another_adopts(void)
{
	begin(1, ADOPT);
	tenant_start(&one, &places, reads_for_ever);
	WAIT_FOR(tenant_blocked(&one) && state_of(&seats[0].rec) == OFFERS);
	tenant_start(&two, &places, reads_for_ever);	/* it has had none: on the list */
	WAIT_FOR(tenant_blocked(&two) && state_of(&seats[0].rec) == OFFERS);
	CHECK_EQ(seats[0].rec.tenant_tid, two.tid);
	tell(&one);
	WAIT_FOR(one.count == 1 && tenant_blocked(&one));
	CHECK_EQ(seats[0].rec.tenant_tid, one.tid);
	CHECK_EQ(one.rec.next_tid, seats[0].tid);
	tell(&two);
	WAIT_FOR(two.count == 1 && tenant_blocked(&two));
	CHECK_EQ(seats[0].rec.tenant_tid, two.tid);
	exit(0);	/* with two workers blocked and the server asleep */
}

static volatile bool go;

static void spins_then_reads(struct tenant *t)
{
	t->count = 1;
	while (!go)
		;
	hear(t);
	t->count = 2;
	for (;;)
		pause();
}

/* With a worker on the list the block is told. */
static void list_not_empty(void)
{
	unsigned long told;

	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, spins_then_reads);
	WAIT_FOR(one.count == 1);
	tenant_start(&two, &places, reads_for_ever);
	WAIT_FOR(state_of(&two.rec) == IDLE && places.head);
	told = seats[0].told;
	go = true;
	WAIT_FOR(tenant_blocked(&two));
	CHECK(seats[0].told > told);
	exit(0);
}

/* The permission goes while a worker runs: its next block is told. */
static void permission_goes(void)
{
	uint64_t word;

	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, spins_then_reads);
	WAIT_FOR(one.count == 1 && state_of(&seats[0].rec) == LENDS);
	word = __atomic_load_n(&seats[0].rec.state_ts, __ATOMIC_SEQ_CST);
	places.permission = 0;
	CHECK(word_cas(&seats[0].rec, word, IDLE));
	go = true;
	WAIT_FOR(state_of(&seats[0].rec) == (IDLE | FREE));
	CHECK_EQ(seats[0].told, 1);
	exit(0);
}

/* Marked while it runs, and blocks first: off its place, as was asked, and back unmarked. */
static void mark_meets_block(void)
{
	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, spins_then_reads);
	WAIT_FOR(one.count == 1);
	state_set(&one.rec, RUNNING, RUNNING | PREEMPTED);
	go = true;
	WAIT_FOR(asleep(one.tid) && state_of(&seats[0].rec) == OFFERS);
	CHECK_STATE(&one.rec, BLOCKED | PREEMPTED);
	CHECK_EQ(sys_kick(0, one.tid), -EAGAIN);
	tell(&one);
	WAIT_FOR(one.count == 2 && tenant_blocked(&one));
	exit(0);
}

static void spins(struct tenant *t)
{
	t->count++;
	while (!go)
		;
}

/* A kick tells the server. */
static void kick(void)
{
	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, spins);
	WAIT_FOR(one.count == 1);
	CHECK(tenant_preempt(&one));
	WAIT_FOR(seats[0].told == 1);
	WAIT_FOR(state_of(&one.rec) == RUNNING);
	go = true;
	join(one.thread);
	end();
}

static void yields(struct tenant *t)
{
	for (int i = 0; i < 100; i++) {
		hear(t);
		tenant_yield(t, seats);
		t->count++;
	}
}

/* A worker that has adopted a place gives it back to the server that it is of. */
static void yield(void)
{
	begin(1, ADOPT);
	tenant_start(&one, &places, yields);
	tenant_start(&two, &places, yields);
	for (int i = 0; i < 100; i++) {
		tell(&one);
		tell(&two);
	}
	join(one.thread);
	join(two.thread);
	CHECK_EQ(one.count, 100);
	CHECK_EQ(two.count, 100);
	end();
}

/* The place is on the server's CPU: a worker that wakes up on another one goes on the list. */
static void other_cpu(void)
{
	need_cpus(2);
	begin(1, ADOPT);
	one.cpu = -1;
	tenant_start(&one, &places, reads_thrice);
	WAIT_FOR(tenant_blocked(&one) && state_of(&seats[0].rec) == OFFERS);
	pin(one.tid, 1);
	tell(&one);
	WAIT_FOR(one.count == 1 && tenant_blocked(&one));
	CHECK_EQ(seats[0].told, 1);
	exit(0);
}

/* A slot each: the second server's place is found in the second slot. */
static void second_slot(void)
{
	begin(2, ADOPT);
	go = false;
	tenant_start(&one, &places, spins);	/* with whichever server */
	WAIT_FOR(one.count == 1);
	tenant_start(&two, &places, reads_for_ever);
	WAIT_FOR(tenant_blocked(&two));
	for (int i = 1; i <= 3; i++) {
		tell(&two);
		WAIT_FOR(two.count == i && tenant_blocked(&two));
	}
	go = true;
	join(one.thread);
	exit(0);
}

/*
 * A server that has taken its place back may find its tid in its slot once more: the block
 * that made it FREE comes to the slot late. Then it runs a worker, without a permission as it
 * has others in its hands, and who finds it in the slot must leave it alone.
 */
static void offer_comes_late(void)
{
	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, reads_for_ever);
	WAIT_FOR(tenant_blocked(&one) && state_of(&seats[0].rec) == OFFERS);
	places.permission = 0;
	tenant_start(&two, &places, spins);	/* it has had none: its server is told */
	WAIT_FOR(two.count == 1 && state_of(&seats[0].rec) == IDLE);
	__atomic_store_n(&places.slots[0], seats[0].tid, __ATOMIC_SEQ_CST);
	tell(&one);
	WAIT_FOR(state_of(&one.rec) == IDLE && asleep(one.tid));
	CHECK_EQ(slot(0), 0);
	CHECK_STATE(&seats[0].rec, IDLE);
	go = true;
	WAIT_FOR(one.count == 1 && tenant_blocked(&one));
	exit(0);
}

/* A slot with another's tid in it is not ours to fill. */
static void slot_taken(void)
{
	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, spins_then_reads);
	WAIT_FOR(one.count == 1);
	__atomic_store_n(&places.slots[0], getpid(), __ATOMIC_SEQ_CST);
	go = true;
	WAIT_FOR(seats[0].told == 1);
	exit(0);
}

/* A server that names no slot or list of its own is told, whatever its word says. */
static void *serve_unnamed(void *arg)
{
	struct seat *s = &seats[0];

	(void)arg;
	pin(0, 0);
	s->places = &places;
	s->tid = gettid();
	rec_init(&s->rec, RUNNING);
	s->rec.idle_workers_ptr = (uintptr_t)&places.head + 1;
	s->rec.idle_server_tid_ptr = (uintptr_t)&places.slots[0];
	CHECK_EQ(sys_ctl(REGISTER, &s->rec), 0);
	seat_serve(s);
	return NULL;
}

static void unnamed(void)
{
	begin(0, ADOPT);
	places.servers = 1;
	spawn(serve_unnamed, NULL);
	WAIT_FOR(state_of(&seats[0].rec) == OFFERS);
	tenant_start(&one, &places, reads_for_ever);
	WAIT_FOR(tenant_blocked(&one) && seats[0].told == 1);
	tell(&one);
	WAIT_FOR(one.count == 1 && tenant_blocked(&one));
	CHECK_EQ(seats[0].told, 2);
	CHECK_EQ(seats[0].rec.passes, 0);
	exit(0);
}

static volatile int handled;

static void on_usr1(int sig)
{
	(void)sig;
	handled++;
}

/* Handlers of a server that is free, or whose place a task has, change neither. */
static void server_handles(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };

	sigaction(SIGUSR1, &sa, NULL);
	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, spins_then_reads);
	WAIT_FOR(one.count == 1);
	for (int i = 0; i < 2; i++) {
		int before = handled;
		uint64_t word = __atomic_load_n(&seats[0].rec.state_ts, __ATOMIC_SEQ_CST);

		CHECK_EQ(word & UMCG_TASK_STATE_MASK_FULL, i ? OFFERS : LENDS);
		CHECK_EQ(syscall(SYS_tgkill, getpid(), seats[0].tid, SIGUSR1), 0);
		WAIT_FOR(handled > before && asleep(seats[0].tid));
		CHECK_EQ(seats[0].rec.state_ts, word);
		go = true;
		WAIT_FOR(tenant_blocked(&one) && state_of(&seats[0].rec) == OFFERS);
	}
	tell(&one);
	WAIT_FOR(one.count == 2);
	exit(0);
}

/* A handler runs in a worker that has a place: it adopts first. */
static void signals_itself(struct tenant *t)
{
	for (;;) {
		char c;

		while (read(fds[0][0], &c, 1) != 1)
			;
		CHECK_STATE(&t->rec, RUNNING);
		t->count++;
	}
}

static volatile int unplaced;

static void on_usr2(int sig)
{
	(void)sig;
	unplaced += state_of(&one.rec) != RUNNING;
	handled++;
}

static void worker_handles(void)
{
	struct sigaction sa = { .sa_handler = on_usr2 };

	sigaction(SIGUSR2, &sa, NULL);
	begin(1, ADOPT);
	tenant_start(&one, &places, signals_itself);
	for (int i = 0; i < 20; i++) {
		int before = handled;

		WAIT_FOR(tenant_blocked(&one) && state_of(&seats[0].rec) == OFFERS);
		CHECK_EQ(syscall(SYS_tgkill, getpid(), one.tid, SIGUSR2), 0);
		WAIT_FOR(handled > before);
	}
	CHECK_EQ(unplaced, 0);
	CHECK_EQ(seats[0].told, 0);
	exit(0);
}

/* A thread that is killed alone does not exist; the process is, in each state. */
static void killed(void *arg)
{
	begin(1, ADOPT);
	go = false;
	tenant_start(&one, &places, spins_then_reads);
	WAIT_FOR(one.count == 1);
	if (arg) {
		go = true;
		WAIT_FOR(tenant_blocked(&one) && state_of(&seats[0].rec) == OFFERS);
	}
	kill(getpid(), SIGKILL);
	await_death();
}

static void *serve_once(void *arg)
{
	seat_register(arg, &places, 0);
	seat_run(arg, seat_take(arg));
	return NULL;	/* by a bare exit */
}

/* The server has ended and left its tid in the slot: the next that finds it drops it. */
static void server_ends(void)
{
	begin(0, ADOPT);
	places.servers = 1;
	go = false;
	one.cpu = 0;
	tenant_start(&one, &places, spins_then_reads);
	WAIT_FOR(places.head && state_of(&one.rec) == IDLE);
	threads[0] = spawn(serve_once, &seats[0]);
	WAIT_FOR(one.count == 1);
	go = true;
	WAIT_FOR(tenant_blocked(&one) && state_of(&seats[0].rec) == OFFERS);
	/* By name, as a wake-up that is for the server itself. */
	me.next_tid = seats[0].tid;
	state_set(&seats[0].rec, OFFERS, RUNNING);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	join(threads[0]);
	__atomic_store_n(&places.slots[0], seats[0].tid, __ATOMIC_SEQ_CST);
	tell(&one);
	WAIT_FOR(state_of(&one.rec) == IDLE && asleep(one.tid));
	CHECK_EQ(slot(0), 0);
	exit(0);
}

static void child(void *fn)
{
	me.state_ts = 0;
	rec_init(&me, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, &me), 0);
	((void (*)(void))fn)();
}

#define TEST(fn)	do { raw_note(#fn); check_exits(child, fn, 0, #fn); } while (0)

int main(void)
{
	raw_start();
	RUN(features);
	TEST(no_permission);
	TEST(block_and_adopt);
	TEST(another_adopts);
	TEST(list_not_empty);
	TEST(permission_goes);
	TEST(mark_meets_block);
	TEST(kick);
	TEST(yield);
	if (cpus() > 1)
		TEST(other_cpu);
	TEST(second_slot);
	TEST(offer_comes_late);
	TEST(slot_taken);
	TEST(unnamed);
	TEST(server_handles);
	TEST(worker_handles);
	TEST(server_ends);
	check_dies(killed, NULL, SIGKILL, "killed while lent");
	check_dies(killed, &me, SIGKILL, "killed while free");
	return 0;
}
