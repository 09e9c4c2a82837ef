// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a signal handler may call: the table in libumcg(7), cell by cell. A worker,
 * a server and a basic task are single-stepped through the library, so that a
 * handler interrupts every instruction of it, and there calls everything. Where a
 * handler would have to wait it gets EAGAIN: the tasks it calls have wake-ups
 * queued that only the interrupted task's own server could have consumed.
 */
#include <signal.h>
#include <ucontext.h>

#include "always.h"

#define TRAP_FLAG	0x100	/* in the flags register: a SIGTRAP after each instruction */
/*
 * Every so many instructions the handler does something; each round begins with
 * another one, so that after as many rounds it was everywhere. More often, and a
 * compare-and-swap that the handler spoils would be spoilt again and again.
 */
#define EVERY		211

static umcg_t group;
static atomic_intptr_t worker_b;
static atomic_intptr_t peer;	/* a basic task that waits, and is woken again and again */
static atomic_bool over, gone;

/* How calls in handlers ended, by where the handler came. */
static struct count {
	long done, refused;
} wakes, tries, waits, swaps, yields, registers;
static long steps, in_library;
static _Thread_local volatile bool stepping;

static void counted(struct count *count, const char *what, int ret, int also_right)
{
	if (!ret) {
		count->done++;
	} else if (errno == EAGAIN) {
		count->refused++;
	} else {
		CHECK(errno == also_right, "%s in a handler", what);
		count->done++;
	}
}

static void run(umcg_tid w)
{
	if (umcg_run_worker(w))
		return;
	CHECK(!errno, "umcg_run_worker");
	gone = true;
}

/*
 * The handler's caller may be anywhere in the library, or in code of its own. It
 * is in the library for sure when a wait is refused.
 */
static void call_everything(bool worker, bool server)
{
	umcg_tid self = umcg_get_utid();
	bool refused;
	long before;

	always_callable(worker_b, group);

	/* Twice: the second one would have to wait for the first. */
	for (int i = 0; i < 2; i++) {
		counted(&wakes, "umcg_wake", umcg_wake(peer, false), 0);
		counted(&tries, "umcg_try_wake", umcg_try_wake(peer, false), EBUSY);
		if (worker)
			counted(&tries, "umcg_try_wake", umcg_try_wake(worker_b, false), EBUSY);
	}

	/* Where nothing of ours was interrupted these work, else they are refused. */
	before = waits.refused;
	counted(&waits, "umcg_wait", umcg_wait(1), ETIMEDOUT);
	refused = waits.refused > before;
	in_library += refused;
	if (refused) {
		/* Nothing that may wait is let through. */
		CHECK_CALL(umcg_destroy_group(group), EAGAIN);
		CHECK_CALL(umcg_swap(worker ? worker_b : peer, 1), EAGAIN);
		CHECK_CALL(umcg_unregister_task(), EAGAIN);
		if (worker) {
			CHECK_CALL(umcg_yield(), EAGAIN);
			counted(&wakes, "umcg_wake", umcg_wake(worker_b, false), 0);
			counted(&wakes, "umcg_wake", umcg_wake(worker_b, false), 0);
		}
		if (server) {
			CHECK_NONE(umcg_get_idle_worker(true), EAGAIN);
			CHECK_NONE(umcg_run_worker(self), EAGAIN);
			CHECK_NONE(umcg_offer_place(), EAGAIN);
			CHECK_CALL(umcg_put_idle_worker(self), EAGAIN);
		}
		return;
	}
	if (!worker)
		counted(&swaps, "umcg_swap", umcg_swap(peer, 1), ETIMEDOUT);
	else
		counted(&yields, "umcg_yield", umcg_yield(), 0);
	if (server) {
		umcg_tid w = umcg_get_idle_worker(false);

		if (w && steps % 2)
			CHECK_CALL(umcg_put_idle_worker(w), 0);
		else if (w)
			run(w);
	}
}

/* Becomes a task or ceases to be one, unless it has interrupted just that, and undoes it. */
static void register_or_leave(void)
{
	if (umcg_register_basic_task(0)) {
		CHECK_CALL(umcg_unregister_task(), 0);
	} else if (errno == EAGAIN) {
		registers.refused++;
		CHECK(umcg_unregister_task() == -1, "umcg_unregister_task");
		return;
	} else {
		CHECK(errno == EINVAL, "umcg_register_basic_task");
		if (umcg_unregister_task()) {
			CHECK(errno == EAGAIN, "umcg_unregister_task");
			registers.refused++;
			return;
		}
		CHECK(umcg_register_basic_task(0), "umcg_register_basic_task");
	}
	registers.done++;
}

static _Thread_local bool is_worker, is_server, comes_and_goes;
static _Thread_local long step;

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	int error = errno;

	(void)sig;
	(void)info;
	if (!stepping)
		uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	steps++;
	if (step++ % EVERY)
		;
	else if (comes_and_goes)
		register_or_leave();
	else
		call_everything(is_worker, is_server);
	errno = error;
}

static void begin_stepping(void)
{
	stepping = true;
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
			 ::: "memory", "cc");
}

/* The handler takes the flag away. */
static void end_stepping(void)
{
	stepping = false;
	__asm__ volatile("nop; nop" ::: "memory");
}

/* A handler that has interrupted the application may also unregister its task. */
static void on_leave(int sig)
{
	(void)sig;
	CHECK_CALL(umcg_unregister_task(), 0);
}

static void leave(void)
{
	raise(SIGUSR1);
	CHECK_CALL(umcg_unregister_task(), EINVAL);
}

/* --- the tasks --- */

static void *is_woken(void *arg)
{
	(void)arg;
	peer = test_task(umcg_register_basic_task(0));
	while (!over)
		if (umcg_wait(umcg_get_time_ns() + MS))
			CHECK(errno == ETIMEDOUT, "umcg_wait");
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static long rounds;

static void *steps_worker(void *arg)
{
	(void)arg;
	is_worker = true;
	test_task(umcg_register_worker(group, 0));
	for (long i = 0; i < rounds; i++) {
		step = i;
		begin_stepping();
		umcg_wait(1);
		umcg_yield();
		umcg_swap(worker_b, 1);
		umcg_try_wake(worker_b, false);
		end_stepping();
	}
	over = true;
	leave();
	return NULL;
}

/* Waits; its wake-ups are consumed only when its server runs it. */
static void *is_woken_worker(void *arg)
{
	(void)arg;
	worker_b = umcg_get_utid();
	test_task(umcg_register_worker(group, 0));
	while (!over)
		if (umcg_wait(umcg_get_time_ns() + MS))
			CHECK(errno == ETIMEDOUT, "umcg_wait");
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void workers(void)
{
	pthread_t a, b, server, basic;
	struct place p;

	over = false;
	peer = worker_b = UMCG_NONE;
	place_begin(&p, UMCG_GROUP_ENABLE_PREEMPTION, 2);
	group = p.group;
	basic = test_spawn(is_woken, NULL);
	b = test_spawn(is_woken_worker, NULL);
	/* It names itself before it registers, for which it needs no server. */
	while (!worker_b || !peer || umcg_get_task_state(worker_b) == UMCG_TASK_NONE)
		test_nap(MS / 10);
	a = test_spawn(steps_worker, NULL);
	server = place_server(&p);
	test_join(a);
	test_join(b);
	test_join(server);
	test_join(basic);
	place_end(&p);
}

static void *steps_server(void *arg)
{
	umcg_tid w;

	(void)arg;
	is_server = true;
	test_task(umcg_register_server(group, 0));
	for (long i = 0; i < rounds || !gone; i++) {
		step = i;
		begin_stepping();
		w = umcg_get_idle_worker(false);
		if (w)
			run(w);
		umcg_wait(1);
		end_stepping();
	}
	over = true;
	leave();
	return NULL;
}

static void *short_worker(void *arg)
{
	(void)arg;
	worker_b = umcg_get_utid();
	test_task(umcg_register_worker(group, 0));
	for (long i = 0; i < rounds; i++)
		umcg_wait(umcg_get_time_ns() + MS / 10);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void servers(void)
{
	pthread_t server, worker, basic;

	over = false;
	peer = UMCG_NONE;
	group = test_group(0);
	basic = test_spawn(is_woken, NULL);
	while (!peer)
		test_nap(MS / 10);
	worker = test_spawn(short_worker, NULL);
	server = test_spawn(steps_server, NULL);
	test_join(server);
	test_join(worker);
	test_join(basic);
	CHECK_CALL(umcg_destroy_group(group), 0);
}

static void *steps_basic(void *arg)
{
	(void)arg;
	test_task(umcg_register_basic_task(0));
	for (long i = 0; i < rounds; i++) {
		step = i;
		begin_stepping();
		umcg_wait(1);
		umcg_swap(peer, 1);
		umcg_wake(peer, false);
		end_stepping();
	}
	over = true;
	leave();
	return NULL;
}

static void basic_tasks(void)
{
	pthread_t basic, other;

	over = false;
	peer = UMCG_NONE;
	group = test_group(0);
	other = test_spawn(is_woken, NULL);
	while (!peer)
		test_nap(MS / 10);
	basic = test_spawn(steps_basic, NULL);
	test_join(basic);
	test_join(other);
	CHECK_CALL(umcg_destroy_group(group), 0);
}

static void *registers_and_leaves(void *arg)
{
	umcg_tid self = umcg_get_utid();

	(void)arg;
	comes_and_goes = true;
	for (long i = 0; i < rounds; i++) {
		step = i;
		begin_stepping();
		CHECK(umcg_register_basic_task(0) == self, "umcg_register_basic_task");
		CHECK_CALL(umcg_unregister_task(), 0);
		CHECK(umcg_register_server(group, 0) == self, "umcg_register_server");
		CHECK_CALL(umcg_unregister_task(), 0);
		end_stepping();
	}
	return NULL;
}

static void registration(void)
{
	group = test_group(0);
	test_join(test_spawn(registers_and_leaves, NULL));
	CHECK_CALL(umcg_destroy_group(group), 0);
	printf("registration: %ld steps; done in a handler %ld, refused %ld\n", steps,
	       registers.done, registers.refused);
	CHECK(registers.done > 0 && registers.refused > 0, "handlers came only to one kind of place");
	steps = 0;
}

static void show(const char *who)
{
	printf("%s: %ld steps, %ld of them in the library; wake %ld + %ld, try %ld + %ld, wait %ld + %ld (done + refused)\n",
	       who, steps, in_library, wakes.done, wakes.refused, tries.done, tries.refused,
	       waits.done, waits.refused);
	CHECK(in_library > 0 && waits.done > 0, "handlers came only to one kind of place");
	steps = in_library = 0;
	memset(&waits, 0, sizeof(waits));
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	test_begin(argc, argv);
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	printf("Not with a sanitizer: its runtime cannot be interrupted everywhere\n");
	return 0;
#endif
	rounds = test_size("ROUNDS", 1, EVERY);
	CHECK(!sigaction(SIGTRAP, &sa, NULL), "sigaction");
	signal(SIGUSR1, on_leave);
	registration();
	basic_tasks();
	show("basic tasks");
	servers();
	show("servers");
	workers();
	show("workers");
	CHECK(tries.refused > 0, "no handler met a queued wake-up");
	return 0;
}
