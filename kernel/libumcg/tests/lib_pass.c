// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Places that pass on: when the server is told and when not, who had the place last, and
 * whatever ends that. The other tests run over such places, too: see the file "passing".
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guests.h"

#define CROWD	32

static atomic_long told;	/* how often umcg_run_worker() has returned */
static atomic_int left;		/* how often it said that a worker has left */
static atomic_intptr_t last;	/* what it returned last */
static atomic_intptr_t gone, gone_tag;	/* the worker that has left last, and its tag */
static atomic_bool go;

static void serve_once(umcg_tid w)
{
	umcg_tid r = umcg_run_worker(w);

	CHECK(r || !errno, "umcg_run_worker");
	if (!r) {
		intptr_t tag;

		gone = umcg_get_left(&tag);
		gone_tag = tag;
		left++;
	}
	last = r;
	told++;
}

/* What a server does that has nothing to choose. */
static void *serve(void *arg)
{
	umcg_tid w;

	(void)arg;
	guests_enlist();
	while (!guests_stop) {
		w = umcg_get_idle_worker(true);
		if (w)
			serve_once(w);
		else
			CHECK(errno == EINTR, "umcg_get_idle_worker");
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	guests_servers--;
	return NULL;
}

static void begin(uint32_t flags)
{
	told = left = 0;
	go = false;
	last = UMCG_NONE;
	guests_begin(flags, serve);
}

/* Wait until @g is in its read number @count, and nobody has the place. */
static void reads(struct guest *g, long count)
{
	struct umcg_place place;

	do {
		test_nap(MS / 5);
		CHECK_CALL(umcg_get_place(guests_server, &place), 0);
	} while (g->count != count || umcg_get_task_state(g->utid) != UMCG_TASK_BLOCKED ||
		 place.state == UMCG_PLACE_LENT || place.state == UMCG_PLACE_BETWEEN);
}

static void hears(struct guest *g)
{
	for (int i = 0; i < g->rounds; i++)
		guest_hear(g);
}

/* It blocks in each of its reads, which nobody is told of but by its stamp. */
static void hears_late(struct guest *g)
{
	for (int i = 0; i < g->rounds; i++) {
		uint64_t stamp = umcg_get_task_stamp(g->utid);

		CHECK(stamp == umcg_get_task_stamp(g->utid), "it has run on");
		guest_hear(g);
		CHECK(stamp != umcg_get_task_stamp(g->utid), "it has blocked");
	}
}

static struct guest one, two, crowd[CROWD];

/* A block and an adoption each time, and the server sleeps on until the worker leaves. */
static void untold(void)
{
	begin(0);
	one.rounds = 100;
	guest_spawn(&one, hears_late);
	for (long i = 0; i < one.rounds; i++) {
		reads(&one, i);
		CHECK(umcg_get_passes(guests_server) == 2 * i + 1, "%u passes",
		      umcg_get_passes(guests_server));
		CHECK(!told, "told");
		guest_tell(&one);
	}
	guest_join(&one);
	AWAIT(told);
	CHECK(told == 1 && left == 1, "told %ld times, %d have left", (long)told, left);
	CHECK(umcg_get_passes(guests_server) == 200, "%u passes", umcg_get_passes(guests_server));
	CHECK(umcg_get_passes(UMCG_NONE) == 0 && errno == ESRCH, "umcg_get_passes");
	CHECK(umcg_get_task_stamp(UMCG_NONE) == 0 && errno == ESRCH, "umcg_get_task_stamp");
	CHECK(umcg_get_tenant(one.utid) == UMCG_NONE && errno, "umcg_get_tenant");
	guests_end();
}

static void spins(struct guest *g)
{
	g->count = 1;
	while (!go)
		;
	hears(g);
}

/*
 * Woken while nobody has its place, the server gets up and is told who had it last; while
 * somebody has it, of the next block.
 */
static void woken(void)
{
	begin(0);
	one.rounds = two.rounds = 2;
	guest_spawn(&one, hears);
	reads(&one, 0);
	guest_spawn(&two, hears);
	AWAIT(two.utid);
	reads(&two, 0);
	CHECK(!told || last == one.utid, "told");
	guest_tell(&one);
	reads(&one, 1);
	told = 0;
	CHECK_CALL(umcg_wake(guests_server, false), 0);
	AWAIT(told);
	CHECK(told == 1 && last == one.utid, "not told who was the last");
	guest_tell(&one);
	guest_tell(&two);
	guest_tell(&two);
	guest_join(&one);
	guest_join(&two);
	guests_end();

	begin(0);
	one.rounds = 1;
	guest_spawn(&one, spins);
	AWAIT(one.count);
	CHECK(umcg_get_tenant(guests_server) == one.utid, "umcg_get_tenant");
	CHECK_CALL(umcg_wake(guests_server, false), 0);
	go = true;
	AWAIT(told);
	CHECK(last == one.utid && umcg_get_passes(guests_server) == 0, "passed on");
	guest_tell(&one);
	guest_join(&one);
	guests_end();
}

/* What is told of a place, and that it is told in time. */
static void recalled(void)
{
	uint64_t before = umcg_get_time_ns(), since;
	struct umcg_place place;

	begin(0);
	one.rounds = two.rounds = 2;
	guest_spawn(&one, hears);
	reads(&one, 0);
	CHECK_CALL(umcg_get_place(guests_server, &place), 0);
	CHECK(place.state == UMCG_PLACE_FREE && !place.tenant && place.passes == 1, "state %u", place.state);
	CHECK(place.since_ns >= before && place.since_ns <= umcg_get_time_ns(), "since when");
	since = place.since_ns;
	CHECK(umcg_recall_place(guests_server) == 1, "nobody had it");
	AWAIT(told);
	CHECK(told == 1 && last == one.utid, "not told who was the last");
	do
		CHECK_CALL(umcg_get_place(guests_server, &place), 0);
	while (place.state != UMCG_PLACE_OWN);
	CHECK(umcg_recall_place(guests_server) == 0, "it has its place");
	guest_tell(&one);
	guest_tell(&one);
	guest_join(&one);
	AWAIT(left);
	CHECK(gone == one.utid && gone_tag == (intptr_t)&one, "who has left");
	guests_end();

	begin(0);
	one.rounds = 1;
	guest_spawn(&one, spins);
	AWAIT(one.count);
	/* Until it is there: it may have blocked for a page. */
	do
		CHECK_CALL(umcg_get_place(guests_server, &place), 0);
	while (place.state != UMCG_PLACE_LENT);
	CHECK(place.tenant == one.utid && place.since_ns > since && place.since_ns <= umcg_get_time_ns(),
	      "the tenant");
	told = 0;
	CHECK(umcg_recall_place(guests_server) == 0, "somebody has it");
	go = true;
	AWAIT(told);
	CHECK(last == one.utid && umcg_get_passes(guests_server) == place.passes, "passed on");
	CHECK_CALL(umcg_get_place(one.utid, &place), EINVAL);
	CHECK_CALL(umcg_recall_place(one.utid), EINVAL);
	guest_tell(&one);
	guest_join(&one);
	guests_end();
	CHECK_CALL(umcg_get_place(UMCG_NONE, &place), ESRCH);
	CHECK_CALL(umcg_recall_place(guests_server), EINVAL);
	CHECK_NONE(umcg_get_left(NULL), EINVAL);
}

static void nothing(int sig)
{
	(void)sig;
}

/* So does a signal that interrupts it. */
static void signalled(void)
{
	struct sigaction sa = { .sa_handler = nothing };

	sigaction(SIGUSR1, &sa, NULL);
	begin(0);
	one.rounds = 1;
	guest_spawn(&one, hears);
	reads(&one, 0);
	CHECK(!pthread_kill(guests_serving, SIGUSR1), "pthread_kill");
	AWAIT(told);
	CHECK(last == one.utid, "not told who was the last");
	guest_tell(&one);
	guest_join(&one);
	guests_end();

	/* With SA_RESTART nothing changes. */
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	begin(0);
	guest_spawn(&one, hears);
	reads(&one, 0);
	for (int i = 0; i < 20; i++)
		CHECK(!pthread_kill(guests_serving, SIGUSR1), "pthread_kill");
	CHECK(!told && !umcg_get_tenant(guests_server), "told");
	guest_tell(&one);
	guest_join(&one);
	guests_end();
}

static void keeps_one(void)
{
	umcg_tid w[2];

	guests_group = umcg_create_group(UMCG_GROUP_PASS_ON);
	test_pin();
	guests_server = umcg_register_server(guests_group, 0);
	CHECK(guests_server, "register");
	one.rounds = two.rounds = 1;
	guest_spawn(&one, hears);
	guest_spawn(&two, hears);
	w[0] = umcg_get_idle_worker(true);
	while (!(w[1] = umcg_get_idle_worker(true)))
		CHECK(errno == EINTR, "umcg_get_idle_worker");
	/* One is in our hands: so we are told of the other one's block. */
	CHECK(umcg_run_worker(w[0]) == w[0], "umcg_run_worker");
	CHECK(umcg_get_passes(guests_server) == 0, "passed on");
	/* Back on the list it is nobody's, and seen there. */
	CHECK_CALL(umcg_put_idle_worker(w[1]), 0);
	w[1] = umcg_get_idle_worker(true);
	guest_tell(&one);
	guest_tell(&two);
	for (int n = 0; n < 2;) {
		if (w[1] && !umcg_run_worker(w[1]) && !errno)
			n++;
		w[1] = n < 2 ? umcg_get_idle_worker(true) : UMCG_NONE;
	}
	guest_join(&one);
	guest_join(&two);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(guests_group), 0);
}

static atomic_int turn;

static void waits(struct guest *g)
{
	for (int i = 0; i < 3; i++) {
		CHECK_CALL(umcg_wait(0), 0);
		/* The order is that of the wake-ups, whoever runs whom. */
		CHECK(turn == (int)(g - crowd), "out of turn");
		turn++;
		/* The first has the only place: nobody runs before all have been woken. */
		for (int j = 1; g == crowd && j < CROWD; j++)
			CHECK_CALL(umcg_wake(crowd[j].utid, false), 0);
	}
}

/* Who waits runs the next one: the server is told when there is none. */
static void swapped(void)
{
	begin(0);
	for (int i = 0; i < CROWD; i++) {
		guest_spawn(&crowd[i], waits);
		AWAIT(crowd[i].utid);
	}
	for (int n = 0; n < 3; n++) {
		for (int i = 0; i < CROWD; i++)
			test_state(crowd[i].utid, WAITS);
		test_state(guests_server, UMCG_TASK_IDLE);
		told = 0;
		turn = 0;
		CHECK_CALL(umcg_wake(crowd[0].utid, false), 0);
		test_await(&turn, CROWD);
		if (n == 2)
			break;
		test_state(crowd[CROWD - 1].utid, WAITS);
		test_state(guests_server, UMCG_TASK_IDLE);
		CHECK(told == 1, "told %ld times", (long)told);
	}
	for (int i = 0; i < CROWD; i++)
		guest_join(&crowd[i]);
	guests_end();
}

static void yields(struct guest *g)
{
	for (int i = 0; i < g->rounds; i++) {
		guest_hear(g);
		CHECK_CALL(umcg_yield(), 0);
	}
}

/* Who has adopted a place gives it back, in the middle and at the end. */
static void given_back(void)
{
	begin(0);
	one.rounds = two.rounds = 200;
	guest_spawn(&one, yields);
	guest_spawn(&two, yields);
	for (int i = 0; i < 200; i++) {
		guest_tell(&one);
		guest_tell(&two);
	}
	guest_join(&one);
	guest_join(&two);
	AWAIT(left >= 2);
	guests_end();
}

static void hears_and_spins(struct guest *g)
{
	guest_hear(g);
	while (!go)
		;
}

/* Who has adopted a place is preempted as others are. */
static void preempted(uint32_t flags)
{
	umcg_tid tenant;

	begin(UMCG_GROUP_ENABLE_PREEMPTION | flags);
	guest_spawn(&one, hears_and_spins);
	reads(&one, 0);
	guest_tell(&one);
	AWAIT((tenant = umcg_get_tenant(guests_server)));
	CHECK(tenant == one.utid && !told, "told");
	while (!told) {
		if (umcg_preempt_worker(tenant))
			CHECK(errno == EAGAIN, "umcg_preempt_worker");
		test_nap(MS);
	}
	CHECK(last == one.utid, "not told who was preempted");
	go = true;
	if (flags & UMCG_GROUP_KEEP_PREEMPTED) {
		/* Kept by a server that forgets it: it is given up with the process. */
		test_nap(MS);
		CHECK(umcg_get_task_state(one.utid) != UMCG_TASK_NONE, "it has ended");
		return;
	}
	guest_join(&one);
	guests_end();
}

static void child_of_preempted(void)
{
	preempted(UMCG_GROUP_KEEP_PREEMPTED);
}

static void exits(struct guest *g)
{
	guest_hear(g);
	guest_hear(g);
	syscall(SYS_exit, 0);
}

/* The thread of a worker that has adopted a place ends without a word. */
static void exited(void)
{
	begin(0);
	guest_spawn(&one, exits);
	reads(&one, 0);
	guest_tell(&one);
	reads(&one, 1);
	guest_tell(&one);
	AWAIT(told);
	CHECK(told == 1 && left == 1, "told %ld times, %d have left", (long)told, left);
	guests_end();
}

/* A server that is cancelled gets its place back, lent or not. */
static void cancelled(bool lent)
{
	begin(UMCG_GROUP_ENABLE_PREEMPTION);
	one.rounds = 2;
	guest_spawn(&one, lent ? hears_and_spins : hears);
	reads(&one, 0);
	if (lent) {
		guest_tell(&one);
		AWAIT(umcg_get_tenant(guests_server));
	}
	CHECK(!pthread_cancel(guests_serving), "pthread_cancel");
	test_join(guests_serving);
	CHECK(umcg_get_passes(guests_server) == 0 && errno == ESRCH, "it is there");
	/* Another one finds the worker. */
	guests_serve(serve);
	go = true;
	if (!lent) {
		guest_tell(&one);
		guest_tell(&one);
	}
	guest_join(&one);
	guests_end();
}

static void *server_for_a_moment(void *arg)
{
	umcg_tid self = umcg_register_server(guests_group, 0);

	if (self) {
		guests_servers++;
		test_await(arg, 1);
		CHECK_CALL(umcg_unregister_task(), 0);
	} else {
		CHECK(errno == ENOSPC, "umcg_register_server");
		left++;
	}
	return NULL;
}

/* A group has 16 places; one that a server has left is another one's. */
static void too_many(void)
{
	pthread_t threads[17];
	atomic_int over = 0;

	guests_group = umcg_create_group(UMCG_GROUP_PASS_ON);
	for (int n = 0; n < 2; n++) {
		guests_servers = left = over = 0;
		for (int i = 0; i < 17; i++) {
			threads[i] = test_spawn(server_for_a_moment, &over);
			AWAIT(guests_servers + left > i);
		}
		CHECK(guests_servers == 16 && left == 1, "%d servers", guests_servers);
		over = 1;
		for (int i = 0; i < 17; i++)
			test_join(threads[i]);
	}
	CHECK_CALL(umcg_destroy_group(guests_group), 0);
}

/* The child of a process whose places are lent makes such places itself. */
static void forked(void)
{
	int status;
	pid_t pid;

	begin(0);
	one.rounds = 1;
	guest_spawn(&one, hears);
	reads(&one, 0);
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (!pid) {
		untold();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status, "the child: %d", status);
	guest_tell(&one);
	guest_join(&one);
	guests_end();
}

static void in_child(void (*run)(void))
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0, "fork");
	if (!pid) {
		run();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status, "the child: %d", status);
}

/* The library's own trace says what it does not know. */
static void traced(void)
{
	static struct umcg_trace_record records[1000];
	uint64_t passes = 0;
	ssize_t n;

	begin(0);
	CHECK_CALL(umcg_trace_enable(guests_group, true), 0);
	one.rounds = 10;
	guest_spawn(&one, hears);
	for (long i = 0; i < one.rounds; i++) {
		reads(&one, i);
		guest_tell(&one);
	}
	guest_join(&one);
	test_await(&left, 1);
	CHECK_CALL(umcg_trace_enable(guests_group, false), 0);
	n = umcg_trace_read(records, 1000);
	for (ssize_t i = 0; i < n; i++)
		if (records[i].kind == UMCG_TRACE_PASSES)
			passes += records[i].arg;
	CHECK(passes == 20 && passes == umcg_get_passes(guests_server), "%ld passes", (long)passes);
	guests_end();
}

/* A kernel of the same version that has no places that pass on. */
static void older_kernel(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_umcg_ctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UMCG_CTL_FEATURES, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	      !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
	CHECK_NONE(umcg_create_group(UMCG_GROUP_PASS_ON), EOPNOTSUPP);
	guests_group = umcg_create_group(0);
	CHECK(guests_group, "umcg_create_group");
	CHECK_CALL(umcg_destroy_group(guests_group), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	untold();
	woken();
	recalled();
	signalled();
	keeps_one();
	swapped();
	given_back();
	preempted(0);
	in_child(child_of_preempted);
	exited();
	cancelled(false);
	cancelled(true);
	too_many();
	if (TEST_THREADS_AFTER_FORK)
		forked();
	traced();
	in_child(older_kernel);
	return 0;
}
