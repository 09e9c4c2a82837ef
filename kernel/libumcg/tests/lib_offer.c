// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A server that has nothing to run offers its place: who comes back has it, untold, and
 * whatever ends that.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "guests.h"

static atomic_long offers, runs;	/* how often each call has returned */
static atomic_intptr_t last;		/* what umcg_offer_place() returned last, */
static atomic_int error;		/* and errno; ours: -1 */
static atomic_bool go;

static void offer(void)
{
	umcg_tid r = umcg_offer_place();

	error = r ? -1 : errno;
	last = r ? r : error ? UMCG_NONE : umcg_get_left(NULL);
	offers++;
}

static void *serve(void *arg)
{
	(void)arg;
	guests_enlist();
	while (!guests_stop) {
		umcg_tid w = umcg_get_idle_worker(false);

		if (w) {
			umcg_run_worker(w);
			runs++;
		} else {
			CHECK(!errno, "umcg_get_idle_worker");
			offer();
		}
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void begin(uint32_t flags)
{
	offers = runs = 0;
	go = false;
	guests_begin(flags, serve);
}

static struct umcg_place place_now(void)
{
	struct umcg_place place;

	CHECK_CALL(umcg_get_place(guests_server, &place), 0);
	return place;
}

static void await_free(void)
{
	do
		test_nap(MS / 5);
	while (place_now().state != UMCG_PLACE_FREE);
}

/* @g is in its read number @count, and nobody has the place. */
static void reads(struct guest *g, long count)
{
	do
		await_free();
	while (g->count != count || umcg_get_task_state(g->utid) != UMCG_TASK_BLOCKED);
}

/* A call of umcg_offer_place() more has returned. */
static void returns(long before)
{
	while (offers == before)
		test_nap(MS / 5);
}

/* @g has been run, and is in its first read; the server offers its place. */
static void start(struct guest *g, void (*run)(struct guest *g))
{
	long ran = runs;

	guest_spawn(g, run);
	AWAIT(g->utid);
	reads(g, 0);
	while (runs == ran) {
		umcg_recall_place(guests_server);
		test_nap(MS / 5);
	}
	await_free();
}

static struct guest one, two;

static void hears_thrice(struct guest *g)
{
	for (int i = 0; i < 3; i++)
		guest_hear(g);
}

/* Two workers have it in turn, and the server is told of the last one when it wants its place. */
static void untold(void)
{
	uint32_t passes;
	long before;

	begin(0);
	start(&one, hears_thrice);
	start(&two, hears_thrice);
	passes = umcg_get_passes(guests_server);
	before = offers;
	guest_tell(&one);
	reads(&one, 1);
	guest_tell(&two);
	reads(&two, 1);
	CHECK(offers == before, "told");
	CHECK(umcg_get_passes(guests_server) == passes + 4, "%u passes", umcg_get_passes(guests_server) - passes);
	CHECK(umcg_recall_place(guests_server) == 1, "nobody had it");
	returns(before);
	CHECK(last == two.utid && error == -1, "not told who was the last");
	await_free();
	for (int i = 0; i < 2; i++) {
		guest_tell(&one);
		guest_tell(&two);
	}
	guest_join(&one);
	guest_join(&two);
	guests_end();
}

static void nothing(int sig)
{
	(void)sig;
}

/* Nobody has had it: each of what ends that. */
static void nobody(void)
{
	struct sigaction sa = { .sa_handler = nothing };
	long before;

	begin(0);
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 3; i++) {
		await_free();
		CHECK(place_now().tenant == UMCG_NONE && place_now().passes == 0, "somebody has it");
		before = offers;
		switch (i) {
		case 0:
			CHECK(umcg_recall_place(guests_server) == 1, "umcg_recall_place");
			break;
		case 1:
			CHECK_CALL(umcg_wake(guests_server, false), 0);
			break;
		default:
			CHECK(!pthread_kill(guests_serving, SIGUSR1), "pthread_kill");
		}
		returns(before);
		CHECK(offers == before + 1 && !last && error == EINTR, "%d: %ld times, errno %d", i,
		      offers - before, error);
	}
	/* A signal that restarts what it interrupts changes nothing. */
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	await_free();
	before = offers;
	for (int i = 0; i < 20; i++)
		CHECK(!pthread_kill(guests_serving, SIGUSR1), "pthread_kill");
	test_nap(MS);
	CHECK(offers == before, "told");
	guests_end();
}

static void spins(struct guest *g)
{
	guest_hear(g);
	while (!go)
		;
	guest_hear(g);
}

/* Somebody has it: told of the next block. */
static void recalled(void)
{
	long before;

	begin(0);
	start(&one, spins);
	before = offers;
	guest_tell(&one);
	AWAIT(umcg_get_tenant(guests_server));
	CHECK(umcg_get_tenant(guests_server) == one.utid, "who has it");
	CHECK(umcg_recall_place(guests_server) == 0 && offers == before, "somebody has it");
	go = true;
	returns(before);
	CHECK(last == one.utid, "not told who was the last");
	guest_tell(&one);
	guest_join(&one);
	guests_end();
}

static void hears(struct guest *g)
{
	guest_hear(g);
}

static void exits(struct guest *g)
{
	guest_hear(g);
	syscall(SYS_exit, 0);
}

static void yields(struct guest *g)
{
	guest_hear(g);
	CHECK_CALL(umcg_yield(), 0);
}

/* Who has it leaves, ends without a word, gives it back. */
static void given_back(void)
{
	void (*const ways[])(struct guest *g) = { hears, exits, yields };

	for (int i = 0; i < 3; i++) {
		long before;

		if (ways[i] == exits && !TEST_BARE_EXITS)
			continue;
		begin(0);
		start(&one, ways[i]);
		before = offers;
		guest_tell(&one);
		returns(before);
		guest_join(&one);
		CHECK(last == one.utid && error == (ways[i] == yields ? -1 : 0), "%d: errno %d", i, error);
		guests_end();
	}
}

/* One that goes on the list, as it has never had a place, ends the offer. */
static void arrived(void)
{
	long before;

	begin(0);
	await_free();
	before = offers;
	start(&one, hears);
	CHECK(offers > before, "not told of a new one");
	guest_tell(&one);
	guest_join(&one);
	guests_end();
}

static void preempted(void)
{
	long before;

	begin(UMCG_GROUP_ENABLE_PREEMPTION);
	start(&one, spins);
	before = offers;
	guest_tell(&one);
	AWAIT(umcg_get_tenant(guests_server));
	while (offers == before) {
		if (umcg_preempt_worker(one.utid))
			CHECK(errno == EAGAIN || errno == EBUSY, "umcg_preempt_worker");
		test_nap(MS);
	}
	CHECK(last == one.utid && error == -1, "not told who was preempted");
	go = true;
	guest_tell(&one);
	guest_join(&one);
	guests_end();
}

/* A server that is cancelled has its place back, lent or not. */
static void cancelled(void)
{
	for (int lent = 0; lent < 2; lent++) {
		begin(UMCG_GROUP_ENABLE_PREEMPTION);
		start(&one, spins);
		if (lent) {
			guest_tell(&one);
			AWAIT(umcg_get_tenant(guests_server));
		}
		CHECK(!pthread_cancel(guests_serving), "pthread_cancel");
		test_join(guests_serving);
		CHECK(umcg_get_passes(guests_server) == 0 && errno == ESRCH, "it is there");
		guests_serve(serve);
		go = true;
		for (int i = lent; i < 2; i++)
			guest_tell(&one);
		guest_join(&one);
		guests_end();
	}
}

/* By hand: in these cases the call does not wait. */
static void refused(void)
{
	umcg_tid w;

	CHECK_NONE(umcg_offer_place(), EINVAL);
	guests_group = umcg_create_group(0);
	CHECK(umcg_register_server(guests_group, 0), "register");
	CHECK_NONE(umcg_offer_place(), EINVAL);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(guests_group), 0);

	guests_group = umcg_create_group(UMCG_GROUP_PASS_ON);
	test_pin();
	guests_server = test_task(umcg_register_server(guests_group, 0));
	CHECK_CALL(umcg_wake(guests_server, false), 0);
	CHECK_NONE(umcg_offer_place(), EINTR);
	guest_spawn(&one, hears);
	while (!(w = umcg_get_idle_worker(true)))
		CHECK(errno == EINTR, "umcg_get_idle_worker");
	CHECK_NONE(umcg_offer_place(), EBUSY);
	CHECK(place_now().state == UMCG_PLACE_OWN, "it offers it");
	guest_tell(&one);
	CHECK(!umcg_run_worker(w) && !errno, "umcg_run_worker");
	guest_join(&one);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(guests_group), 0);
}

/* The library's own trace: it sleeps and wakes, or somebody had the place meanwhile. */
static void traced(void)
{
	static struct umcg_trace_record records[1000];
	long sleeps = 0, wakes = 0, returned = 0, passes = 0, before;
	ssize_t n;

	begin(0);
	start(&one, hears_thrice);
	umcg_trace_read(records, 1000);
	CHECK_CALL(umcg_trace_enable(guests_group, true), 0);
	before = offers;
	umcg_recall_place(guests_server);
	returns(before);
	await_free();
	guest_tell(&one);
	reads(&one, 1);
	before = offers;
	umcg_recall_place(guests_server);
	returns(before);
	await_free();
	CHECK_CALL(umcg_trace_enable(guests_group, false), 0);
	n = umcg_trace_read(records, 1000);
	for (ssize_t i = 0; i < n; i++) {
		sleeps += records[i].kind == UMCG_TRACE_SLEEP;
		wakes += records[i].kind == UMCG_TRACE_WAKE;
		returned += records[i].kind == UMCG_TRACE_RETURN;
		passes += records[i].kind == UMCG_TRACE_PASSES ? (long)records[i].arg : 0;
	}
	CHECK(sleeps == 2 && wakes == 1 && returned == 1 && passes == 2,
	      "%ld sleeps, %ld wake-ups, %ld returns, %ld passes", sleeps, wakes, returned, passes);
	guest_tell(&one);
	guest_tell(&one);
	guest_join(&one);
	guests_end();
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	refused();
	nobody();
	untold();
	recalled();
	given_back();
	arrived();
	preempted();
	cancelled();
	traced();
	return 0;
}
