// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Signal handlers: they end the waits of servers with EINTR, or with SA_RESTART
 * do not; they may wake whatever they interrupt; they may wait only where they
 * interrupt nothing of ours.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "util.h"

static atomic_int handled, interruptions, waiter_tid;
static atomic_intptr_t waiter;
static umcg_t group;

static void count(int sig)
{
	(void)sig;
	handled++;
}

static void on_signal(int sig, void (*handler)(int sig), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	CHECK(!sigaction(sig, &sa, NULL), "sigaction");
}

/* --- EINTR or not --- */

static void *interrupted(void *arg)
{
	bool server = arg;

	waiter_tid = (int)syscall(SYS_gettid);
	waiter = test_task(server ? umcg_register_server(group, 0) :
				    umcg_register_basic_task(0));
	if (server)
		CHECK(!umcg_get_idle_worker(true) && errno == EINTR, "not interrupted");
	else
		CHECK_CALL(umcg_wait(0), EINTR);
	CHECK(handled == 1, "the handler has not run");
	interruptions++;
	/* The second signal restarts: only the wake-up ends it. */
	if (server)
		CHECK(!umcg_get_idle_worker(true) && errno == EINTR, "not interrupted");
	else
		CHECK_CALL(umcg_wait(0), 0);
	CHECK(handled == 3, "after %d signals", handled);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void interrupts(void *server)
{
	pthread_t thread;

	waiter = UMCG_NONE;
	handled = interruptions = 0;
	on_signal(SIGUSR1, count, 0);
	on_signal(SIGUSR2, count, SA_RESTART);
	thread = test_spawn(interrupted, server);
	while (!waiter)
		test_nap(MS / 10);
	test_asleep(waiter, waiter_tid);
	pthread_kill(thread, SIGUSR1);
	test_await(&interruptions, 1);
	for (int i = 2; i <= 3; i++) {
		test_asleep(waiter, waiter_tid);
		pthread_kill(thread, SIGUSR2);
		test_await(&handled, i);
	}
	test_asleep(waiter, waiter_tid);
	CHECK_CALL(umcg_wake(waiter, false), 0);
	test_join(thread);
}

/* --- wake-ups from handlers that interrupt everything --- */

static long rounds;
static atomic_intptr_t player[2], listener;
static atomic_int sent, heard;
static atomic_bool over, last;
static long turn;		/* the task whose turn it is owns it */
static atomic_int playing;

/* One wake-up at a time, so that none has to wait for another in here. */
static void wake_listener(int sig)
{
	int before = heard, error = errno;

	(void)sig;
	if (atomic_compare_exchange_strong(&sent, &before, before + 1) &&
	    umcg_wake(listener, false)) {
		/*
		 * The thread is not yet, or no more, a task; or we have interrupted a server
		 * that lends its place, and the listener is just on its way to sleep.
		 */
		CHECK(errno == EINVAL || errno == EAGAIN, "umcg_wake");
		sent = before;
	}
	errno = error;
}

static void *listen(void *arg)
{
	umcg_tid self = umcg_get_utid();

	CHECK(arg ? umcg_register_worker(group, 0) : umcg_register_basic_task(0), "register");
	listener = test_task(self);
	for (;;) {
		CHECK_CALL(umcg_wait(0), 0);
		if (over)
			break;
		heard++;
		CHECK(heard <= sent, "heard %d of %d", heard, sent);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *play(void *arg)
{
	int me = (int)(intptr_t)arg & 1;
	bool worker = (intptr_t)arg & 2;

	CHECK(worker ? umcg_register_worker(group, me) : umcg_register_basic_task(me),
	      "register");
	player[me] = test_task(umcg_get_utid());
	while (!player[!me] || !listener)
		test_nap(MS / 10);
	while (me && umcg_wait(0))
		CHECK(errno == EINTR, "umcg_wait");
	/* Player 0 says which round is the last: not before a handler has run. */
	for (long i = 1;; i++) {
		CHECK(turn % 2 == me, "turn of %ld, not of %d", turn % 2, me);
		turn++;
		if (me && last) {
			CHECK_CALL(umcg_wake(player[!me], true), 0);
			break;
		}
		if (!me && i >= rounds && sent)
			last = true;
		if (umcg_swap(player[!me], 0))
			FAIL("umcg_swap");
		if (!me && last)
			break;
	}
	playing--;
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void handlers_wake(bool workers)
{
	struct place p;
	pthread_t thread[2], server = 0, listening;

	place_begin(&p, 0, 3);
	group = p.group;
	player[0] = player[1] = listener = UMCG_NONE;
	over = last = false;
	sent = heard = 0;
	turn = 0;
	playing = 2;
	on_signal(SIGUSR1, wake_listener, SA_RESTART);
	listening = test_spawn(listen, (void *)(intptr_t)workers);
	for (intptr_t i = 0; i < 2; i++)
		thread[i] = test_spawn(play, (void *)(i | (workers ? 2 : 0)));
	if (workers)
		server = place_server(&p);
	while (!player[0] || !player[1] || !listener)
		test_nap(MS / 10);
	while (playing == 2) {
		/* Ends with the player: it does not receive after that. */
		pthread_kill(thread[0], SIGUSR1);
		if (workers && p.server[0])
			pthread_kill(server, SIGUSR1);
		test_nap(MS / 20);
	}
	for (int i = 0; i < 2; i++)
		test_join(thread[i]);
	CHECK(umcg_register_basic_task(0), "register");
	while (heard < sent)
		test_nap(MS / 10);
	over = true;
	CHECK_CALL(umcg_wake(listener, false), 0);
	test_join(listening);
	CHECK_CALL(umcg_unregister_task(), 0);
	if (workers)
		test_join(server);
	else
		p.alive = 0;
	printf("%s: %d wake-ups from handlers\n", workers ? "workers" : "basic tasks", heard);
	CHECK(heard > 0, "no handler woke any task");
	place_end(&p);
}

/* --- waits in handlers --- */

static atomic_int refused, allowed;

static void wait_here(int sig)
{
	(void)sig;
	if (!umcg_wait(1) || errno == ETIMEDOUT)
		allowed++;
	else if (errno == EAGAIN)
		refused++;
	else
		FAIL("umcg_wait in a handler");
}

static void *waits_twice(void *arg)
{
	(void)arg;
	waiter_tid = (int)syscall(SYS_gettid);
	waiter = test_task(umcg_register_basic_task(0));
	raise(SIGUSR1);		/* interrupts nothing of ours */
	CHECK(allowed == 1 && !refused, "%d, %d", allowed, refused);
	CHECK_CALL(umcg_wait(0), 0);	/* interrupted in its sleep */
	CHECK(allowed == 1 && refused == 1, "%d, %d", allowed, refused);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void handlers_wait(void)
{
	pthread_t thread;

	waiter = UMCG_NONE;
	on_signal(SIGUSR1, wait_here, SA_RESTART);
	thread = test_spawn(waits_twice, NULL);
	while (!waiter || !allowed)
		test_nap(MS / 10);
	test_asleep(waiter, waiter_tid);
	pthread_kill(thread, SIGUSR1);
	test_await(&refused, 1);
	CHECK_CALL(umcg_wake(waiter, false), 0);
	test_join(thread);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 3000);
	handlers_wake(false);
	handlers_wake(true);

#ifdef __SANITIZE_THREAD__
	/* Its runtime holds signals back until the thread next calls libc. */
	printf("ThreadSanitizer: not tried what a signal does to a sleep\n");
	return 0;
#endif
	group = test_group(0);
	CHECK(umcg_register_basic_task(0), "register");
	interrupts(NULL);
	interrupts(&group);
	handlers_wait();
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
	return 0;
}
