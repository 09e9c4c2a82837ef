// SPDX-License-Identifier: MIT
/*
 * A worker of better rank takes a place that is lent: from which workers, and from which
 * not. There is one server, and the tenant computes all the time, so what comes back
 * either takes its place or stays on the list.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

#include "libplace.h"

#define LEAVES	200
#define TAKEN_FROM	(BLOCKED | PREEMPTED)
#define PERMITS		(ADOPT | RANK)

static struct places places;
static struct seat seat;
static struct tenant hog, urgent, third;
static struct umcg_task me;
static int fds[2][2];
static volatile bool go, stay;

static void hear(struct tenant *t)
{
	char c;

	CHECK_EQ(read(fds[t == &third][0], &c, 1), 1);
}

static void tell(struct tenant *t)
{
	CHECK_EQ(write(fds[t == &third][1], "x", 1), 1);
}

/* What a worker that has just come back sees: the place is its own, and no other's. */
static void has_place(struct tenant *t)
{
	uint32_t word = state_of(&hog.rec) & UMCG_TASK_STATE_MASK;

	CHECK_EQ(state_of(&t->rec) & UMCG_TASK_STATE_MASK, RUNNING);
	CHECK_EQ(t->rec.next_tid, seat.tid);
	CHECK_EQ(seat.rec.tenant_tid, t->tid);
	if (t != &hog && word == RUNNING)
		FAIL("two workers are RUNNING in one place");
}

static void reads(struct tenant *t)
{
	for (;;) {
		hear(t);
		has_place(t);
		t->count++;
		while (stay)
			;
	}
}

static void computes(struct tenant *t)
{
	while (!go)
		t->count++;
}

static bool listed(struct tenant *t)
{
	return state_of(&t->rec) == IDLE && asleep(t->tid);
}

static void goes_on(struct tenant *t)
{
	long before = t->count;

	WAIT_FOR(t->count > before);
}

/* A worker that has had the place, with rank @rank, sleeps; one of rank @tenant computes. */
static void begin_with(uint32_t permission, uint32_t rank, uint32_t tenant,
		       void (*fn)(struct tenant *t))
{
	places.servers = 1;
	places.permission = permission;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pipe(fds[i]), 0);
	seat_start(&seat, &places, 0, 0);
	WAIT_FOR(state_of(&seat.rec) == (IDLE | FREE | permission));
	urgent.rank = rank;
	tenant_start(&urgent, &places, reads);
	WAIT_FOR(tenant_blocked(&urgent) && (state_of(&seat.rec) & FREE));
	hog.rank = tenant;
	tenant_start(&hog, &places, fn);
	goes_on(&hog);
}

static void begin(uint32_t permission, uint32_t rank, uint32_t tenant)
{
	begin_with(permission, rank, tenant, computes);
}

static void features(void)
{
	struct umcg_task t;

	CHECK_EQ(sys_ctl(UMCG_CTL_FEATURES, NULL) & UMCG_FEATURE_RANK, UMCG_FEATURE_RANK);
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	rec_init(&t, RUNNING);
	t.rank = 1;
	CHECK_EQ(sys_ctl(REGISTER, &t), -EINVAL);	/* of a server it means nothing */
	exit(0);
}

/* Taken, left and adopted: the server hears of nothing, and all of it is counted. */
static void better(void)
{
	uint32_t passes;
	uint64_t word;

	begin(PERMITS, 1, 2);
	for (int i = 1; i <= 3; i++) {
		WAIT_FOR(state_of(&seat.rec) == (LENDS | RANK) && state_of(&hog.rec) == RUNNING);
		passes = seat.rec.passes;
		word = seat.rec.state_ts;
		tell(&urgent);
		WAIT_FOR(urgent.count == i);
		CHECK(seat.rec.state_ts != word);
		goes_on(&hog);
		CHECK(seat.rec.passes >= passes + 2);
	}
	exit(0);
}

/* What the worker that has lost its place says, before it comes back. */
static void tenant_is_blocked(void)
{
	unsigned long told;

	begin(PERMITS, 1, 2);
	stay = true;
	told = seat.told;
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	/* A tick may let it come back, to the list: it has no place in either case. */
	WAIT_FOR(state_of(&hog.rec) == TAKEN_FROM || state_of(&hog.rec) == IDLE);
	CHECK_STATE(&seat.rec, LENDS | RANK);
	CHECK_EQ(seat.told, told);
	stay = false;
	goes_on(&hog);
	exit(0);
}

/* On the list, and stays there: the tenant goes on. */
static void not_taken(uint32_t permission, uint32_t rank, uint32_t tenant)
{
	begin(permission, rank, tenant);
	tell(&urgent);
	WAIT_FOR(listed(&urgent));
	goes_on(&hog);
	CHECK_EQ(urgent.count, 0);
	CHECK_STATE(&hog.rec, RUNNING);
	exit(0);
}

static void equal(void) { not_taken(PERMITS, 2, 2); }
static void worse(void) { not_taken(PERMITS, 3, 2); }
static void no_rank(void) { not_taken(PERMITS, 0, 2); }
static void tenant_has_none(void) { not_taken(PERMITS, 1, 0); }
static void no_permission(void) { not_taken(ADOPT, 1, 2); }
static void told_of_all(void) { not_taken(0, 1, 2); }

/* A rank may be changed while its worker sleeps, and while it computes. */
static void changed(void)
{
	begin(PERMITS, 3, 2);
	__atomic_store_n(&urgent.rec.rank, 1, __ATOMIC_SEQ_CST);
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	goes_on(&hog);
	__atomic_store_n(&hog.rec.rank, 1, __ATOMIC_SEQ_CST);
	tell(&urgent);
	WAIT_FOR(listed(&urgent));
	CHECK_EQ(urgent.count, 1);
	exit(0);
}

/* The permission goes while the tenant computes. */
static void permission_goes(void)
{
	uint64_t word;

	begin(PERMITS, 1, 2);
	word = __atomic_load_n(&seat.rec.state_ts, __ATOMIC_SEQ_CST);
	CHECK_EQ(word & UMCG_TASK_STATE_MASK_FULL, LENDS | RANK);
	CHECK(word_cas(&seat.rec, word, LENDS));
	tell(&urgent);
	WAIT_FOR(listed(&urgent));
	CHECK_EQ(urgent.count, 0);
	exit(0);
}

/* A third worker of rank 1, which runs @fn, has had no place yet. */
static void registers(void (*fn)(struct tenant *t))
{
	third.rank = 1;
	third.cpu = 0;
	tenant_start(&third, &places, fn);
}

/* It asks the one that has the place: the server is told, and runs it. */
static void new_one_asks(void)
{
	unsigned long told;

	begin(PERMITS, 1, 2);
	told = seat.told;
	registers(reads);
	WAIT_FOR(tenant_blocked(&third));
	CHECK(seat.told > told);
	goes_on(&hog);
	exit(0);
}

/* It has no right to the place: it waits on the list. */
static void new_one_waits(uint32_t permission, uint32_t tenant)
{
	unsigned long told;

	begin(permission, 1, tenant);
	told = seat.told;
	registers(reads);
	WAIT_FOR(listed(&third));
	goes_on(&hog);
	CHECK_EQ(seat.told, told);
	CHECK_STATE(&hog.rec, RUNNING);
	CHECK(listed(&third));
	exit(0);
}

static void new_one_is_equal(void) { new_one_waits(PERMITS, 1); }
static void new_one_is_told_of(void) { new_one_waits(ADOPT, 2); }

/* One takes the place of one that has taken it. */
static void in_turn(void)
{
	begin(PERMITS, 2, 3);
	registers(reads);
	WAIT_FOR(tenant_blocked(&third));
	goes_on(&hog);
	stay = true;
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	tell(&third);
	WAIT_FOR(third.count == 1);
	stay = false;
	goes_on(&hog);
	exit(0);
}

/* Marked, not yet kicked: it has lost its place, as was asked. */
static void mark_meets_take(void)
{
	begin(PERMITS, 1, 2);
	state_set(&hog.rec, RUNNING, RUNNING | PREEMPTED);
	stay = true;
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	CHECK_EQ(sys_kick(0, hog.tid), -EAGAIN);
	stay = false;
	goes_on(&hog);
	CHECK_STATE(&hog.rec, RUNNING);
	exit(0);
}

/* LOCKED: user space is in the middle of a transition of the tenant's. */
static void locks(struct tenant *t)
{
	state_set(&t->rec, RUNNING, RUNNING | LOCKED);
	computes(t);
	state_set(&t->rec, RUNNING | LOCKED, RUNNING);
	hear(&third);
}

static void locked_tenant(void)
{
	begin_with(PERMITS, 1, 2, locks);
	tell(&urgent);
	WAIT_FOR(listed(&urgent));
	CHECK_STATE(&hog.rec, RUNNING | LOCKED);
	go = true;	/* then it blocks, and the server is told of the list */
	WAIT_FOR(urgent.count == 1);
	exit(0);
}

static char zeros[4 << 20];

static void reads_zeros(struct tenant *t)
{
	int fd = open("/dev/zero", O_RDONLY);

	CHECK(fd >= 0);
	while (!go) {
		CHECK_EQ(read(fd, zeros, sizeof(zeros)), sizeof(zeros));
		has_place(t);
		t->count++;
	}
	/* In here it blocks without a place, if it has lost it. */
	for (int i = 0; i < 10; i++) {
		nap(10000);
		has_place(t);
		t->count++;
	}
}

/* A tenant that is inside a system call goes on there, and comes back on its way out. */
static void in_a_call(void)
{
	begin_with(PERMITS, 1, 2, reads_zeros);
	for (int i = 1; i <= 20; i++) {
		tell(&urgent);
		WAIT_FOR(urgent.count == i);
		goes_on(&hog);
	}
	go = true;
	tell(&urgent);
	join(hog.thread);
	WAIT_FOR(urgent.count == 21);
	exit(0);
}

/* It ends, or unregisters, only with a place: the server is told once. */
static void tenant_ends(void)
{
	unsigned long told;

	begin(PERMITS, 1, 2);
	stay = true;
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	told = seat.told;
	go = true;
	stay = false;
	join(hog.thread);
	WAIT_FOR(seat.told > told && tenant_blocked(&urgent));
	tell(&urgent);
	WAIT_FOR(urgent.count == 2);
	exit(0);
}

static volatile int left;

/* By itself, in the middle of whatever may be taken from it: it has its place until then. */
static void unregisters(struct tenant *t)
{
	uint32_t seed = 1;

	for (int i = 0; i < LEAVES; i++) {
		for (unsigned int n = raw_random(&seed) % 20000; n; n--)
			t->count++;
		CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
		has_place(t);
		left++;
		WAIT_FOR(left % 2 == 0);
		rec_init(&t->rec, BLOCKED);
		t->rec.idle_workers_ptr = (uintptr_t)&places.head;
		t->rec.idle_server_tid_ptr = (uintptr_t)places.slots;
		t->rec.rank = 2;
		CHECK_EQ(sys_ctl(REGISTER | WORKER, &t->rec), 0);
	}
}

static void naps(struct tenant *t)
{
	uint32_t seed = 2;

	for (;;) {
		nap(raw_random(&seed) % 200000);
		CHECK_STATE(&t->rec, RUNNING);
		t->count++;
	}
}

static void tenant_unregisters(void)
{
	uint64_t word;

	third.rank = 1;
	third.cpu = 0;
	begin_with(PERMITS, 1, 2, computes);
	tenant_start(&third, &places, naps);
	go = true;
	join(hog.thread);
	goes_on(&third);
	memset(&hog, 0, sizeof(hog));
	hog.rank = 2;
	tenant_start(&hog, &places, unregisters);
	while (left < 2 * LEAVES) {
		WAIT_FOR(left % 2);
		/* On behalf of the one that is no worker any more. */
		do {
			word = __atomic_load_n(&seat.rec.state_ts, __ATOMIC_SEQ_CST);
			CHECK_EQ(word & (UMCG_TASK_STATE_MASK | FREE), IDLE);
		} while (!word_cas(&seat.rec, word, RUNNING));
		me.next_tid = seat.tid;
		CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
		left++;
	}
	exit(0);
}

static void takes_and_ends(struct tenant *t)
{
	hear(t);
	has_place(t);
	t->count++;
}

static void taker_ends(void)
{
	begin(PERMITS, 1, 2);
	registers(takes_and_ends);
	WAIT_FOR(tenant_blocked(&third));
	goes_on(&hog);
	tell(&third);
	join(third.thread);
	CHECK_EQ(third.count, 1);
	goes_on(&hog);
	exit(0);
}

static void killed(void *arg)
{
	(void)arg;
	basic_register(&me);
	begin(PERMITS, 1, 2);
	stay = true;
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	kill(getpid(), SIGKILL);
	await_death();
}

/*
 * The tenant runs on another CPU: it is marked and kicked, and the server is told. If it
 * has just been preempted there by a thread of another process, its place is taken.
 */
static void other_cpu(void)
{
	unsigned long told, passes;

	need_cpus(2);
	hog.cpu = -1;
	urgent.cpu = -1;
	begin(PERMITS, 1, 2);
	pin(hog.tid, 0);
	pin(urgent.tid, 1);
	told = seat.told;
	passes = seat.rec.passes;
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	CHECK(seat.told > told || seat.rec.passes >= passes + 2);
	goes_on(&hog);
	exit(0);
}

static volatile int handled;

static void on_usr1(int sig)
{
	(void)sig;
	handled++;
}

/* A handler of a worker that has lost its place waits for one no more than any other. */
static void signalled(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };

	sigaction(SIGUSR1, &sa, NULL);
	begin(PERMITS, 1, 2);
	stay = true;
	tell(&urgent);
	WAIT_FOR(urgent.count == 1);
	CHECK_EQ(syscall(SYS_tgkill, getpid(), hog.tid, SIGUSR1), 0);
	WAIT_FOR(handled == 1);
	stay = false;
	goes_on(&hog);
	exit(0);
}

static void child(void *fn)
{
	basic_register(&me);
	((void (*)(void))fn)();
}

#define TEST(fn)	do { raw_note(#fn); check_exits(child, fn, 0, #fn); } while (0)

int main(void)
{
	raw_start();
	TEST(features);
	TEST(better);
	TEST(tenant_is_blocked);
	TEST(equal);
	TEST(worse);
	TEST(no_rank);
	TEST(tenant_has_none);
	TEST(no_permission);
	TEST(told_of_all);
	TEST(changed);
	TEST(permission_goes);
	TEST(new_one_asks);
	TEST(new_one_is_equal);
	TEST(new_one_is_told_of);
	TEST(in_turn);
	TEST(mark_meets_take);
	TEST(locked_tenant);
	TEST(in_a_call);
	TEST(tenant_ends);
	TEST(tenant_unregisters);
	TEST(taker_ends);
	TEST(signalled);
	if (cpus() > 1)
		TEST(other_cpu);
	raw_note("killed");
	check_dies(killed, NULL, SIGKILL, "killed");
	return 0;
}
