// SPDX-License-Identifier: MIT
/*
 * An open-loop server: a client sends requests at given times, a crew answers.
 *
 * A request waits in the backlog, a worker without one on the stack of the idle.
 * Whoever adds to either then matches the two, so no request waits beside an
 * idle worker: of two that add at the same time, the later one sees both.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "bench.h"
#include "crew.h"

#define LEAVE	UINT32_MAX

/* What one thread of the crew is handed: a request's number + 1, or LEAVE. */
struct hand {
	_Alignas(64) _Atomic uint32_t word;
	uint32_t next;			/* index + 1 of the next idle worker */
};

struct shop {
	struct lab_requests *spec;
	struct lab_run *run;
	struct hand *hands;
	struct crew *crew;		/* over servers; or NULL */
	int64_t begin;
	_Alignas(64) _Atomic uint32_t arrived, taken;	/* the backlog: what is between */
	_Alignas(64) _Atomic uint64_t idle;		/* index + 1; a count against ABA above */
	_Alignas(64) _Atomic uint32_t answered;
	_Atomic uint32_t ready;		/* of crew and batch */
};

static struct shop *shop_of(struct lab_thread *self)
{
	return self->run->context;
}

static bool is_umcg(const struct shop *shop)
{
	return shop->spec->crew == LAB_CREW_UMCG;
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static void push_idle(struct shop *shop, uint32_t index)
{
	uint64_t top = atomic_load(&shop->idle), new;

	do {
		shop->hands[index].next = (uint32_t)top;
		new = ((top >> 32) + 1) << 32 | (index + 1);
	} while (!atomic_compare_exchange_weak(&shop->idle, &top, new));
}

static bool pop_idle(struct shop *shop, uint32_t *index)
{
	uint64_t top = atomic_load(&shop->idle), new;

	do {
		if (!(uint32_t)top)
			return false;
		*index = (uint32_t)top - 1;
		/* Nonsense if another has taken it meanwhile: then the count has moved. */
		new = ((top >> 32) + 1) << 32 | shop->hands[*index].next;
	} while (!atomic_compare_exchange_weak(&shop->idle, &top, new));
	return true;
}

static bool take_request(struct shop *shop, uint32_t *request)
{
	*request = atomic_load(&shop->taken);
	do {
		if (*request >= atomic_load(&shop->arrived))
			return false;
	} while (!atomic_compare_exchange_weak(&shop->taken, request, *request + 1));
	return true;
}

/* The policy sees it when the worker becomes ready next. */
static void describe(struct shop *shop, struct lab_thread *worker, uint32_t request)
{
	struct lab_requests *spec = shop->spec;
	umcg_tid task = atomic_load(&worker->task);
	uint64_t due = 0;

	if (spec->priority)
		umcg_sched_set_priority(task, spec->priority[request]);
	if (!spec->deadline_ns)
		return;
	if (spec->deadline_ns[request])
		due = (uint64_t)shop->begin + spec->arrival_ns[request] + spec->deadline_ns[request];
	umcg_sched_set_deadline(task, due);
}

static void hand_over(struct shop *shop, uint32_t index, uint32_t word)
{
	struct lab_thread *worker = &shop->run->threads[index];

	atomic_store(&shop->hands[index].word, word);
	if (!is_umcg(shop)) {
		futex(&shop->hands[index].word, FUTEX_WAKE_PRIVATE, 1);
		return;
	}
	if (umcg_wake(atomic_load(&worker->task), false) && errno != ESRCH)
		lab_fail(shop->run, "umcg_wake", errno);
}

/* Bring idle workers and waiting requests together. */
static void match(struct shop *shop)
{
	uint32_t index, request;

	while (atomic_load(&shop->taken) < atomic_load(&shop->arrived)) {
		if (!pop_idle(shop, &index))
			break;
		if (!take_request(shop, &request)) {
			push_idle(shop, index);
			continue;
		}
		if (is_umcg(shop))
			describe(shop, &shop->run->threads[index], request);
		hand_over(shop, index, request + 1);
	}
}

/* The next request's number + 1, or LEAVE. */
static uint32_t next_request(struct shop *shop, struct lab_thread *self)
{
	struct hand *hand = &shop->hands[self->index];
	uint32_t word, request;

	/* Before it waits, so that the policy knows when it is ready for it. */
	if (is_umcg(shop))
		umcg_sched_begin_request();
	if (take_request(shop, &request)) {
		if (is_umcg(shop))
			describe(shop, self, request);
		return request + 1;
	}
	push_idle(shop, self->index);
	match(shop);
	do {
		/* One wait for one wake-up: a second one would wait for the first. */
		if (!is_umcg(shop)) {
			futex(&hand->word, FUTEX_WAIT_PRIVATE, 0);
		} else if (umcg_wait(0) && errno != EINTR) {
			lab_fail(shop->run, "umcg_wait", errno);
			return LEAVE;
		}
	} while (!(word = atomic_exchange(&hand->word, 0)));
	return word;
}

static void answer(struct shop *shop, struct lab_thread *self, uint32_t request)
{
	lab_spin(shop->run, shop->spec->turns[request]);
	if (lab_stopped(shop->run))
		return;
	shop->spec->latency_ns[request] = lab_now() - shop->begin -
					  (int64_t)shop->spec->arrival_ns[request];
	lab_count(self);
	atomic_fetch_add(&shop->answered, 1);
}

/* Be scheduled as the spec says; batch and crew differ. */
static int be(struct shop *shop, bool batch)
{
	struct lab_requests *spec = shop->spec;
	int nice = batch ? spec->batch_nice : spec->nice;
	int cgroup = batch ? spec->batch_cgroup : spec->cgroup;
	char tid[16];

	if (cgroup >= 0) {
		int length = snprintf(tid, sizeof(tid), "%d", gettid());

		if (write(cgroup, tid, (size_t)length) != length)
			return -1;
	}
	if (nice && setpriority(PRIO_PROCESS, 0, nice))
		return -1;
	if (spec->fifo && !batch) {
		struct sched_param param = { .sched_priority = spec->fifo };

		return sched_setscheduler(0, SCHED_FIFO, &param);
	}
	return 0;
}

static bool enlist(struct shop *shop, struct lab_thread *self)
{
	bool batch = !self->urgent;
	/* What policies may decide by: requests come first, and are another tenant's. */
	struct umcg_sched_attr attr = { .priority = !batch, .klass = batch, .tenant = batch };

	if (be(shop, batch))
		lab_fail(shop->run, "nice, cgroup or SCHED_FIFO of a thread", errno);
	if (!is_umcg(shop))
		return false;
	if (!crew_enter(shop->crew, self, &attr))
		return true;
	lab_fail(shop->run, "registration of a worker", errno);
	return false;
}

static void *crew_body(void *arg)
{
	struct lab_thread *self = arg;
	struct shop *shop = shop_of(self);
	uint32_t word;
	bool registered;

	if (!lab_thread_begin(self))
		return NULL;
	registered = enlist(shop, self);
	atomic_fetch_add(&shop->ready, 1);
	while (!lab_stopped(self->run) && (word = next_request(shop, self)) != LEAVE)
		answer(shop, self, word - 1);
	if (registered && umcg_sched_leave())
		lab_fail(self->run, "umcg_sched_leave", errno);
	lab_thread_end(self);
	return NULL;
}

static void *batch_body(void *arg)
{
	struct lab_thread *self = arg;
	struct shop *shop = shop_of(self);
	bool registered;

	if (!lab_thread_begin(self))
		return NULL;
	registered = enlist(shop, self);
	atomic_fetch_add(&shop->ready, 1);
	while (!lab_stopped(self->run)) {
		lab_spin(self->run, shop->spec->batch_turns);
		lab_count(self);
	}
	if (registered && umcg_sched_leave())
		lab_fail(self->run, "umcg_sched_leave", errno);
	lab_thread_end(self);
	return NULL;
}

/* A client without a CPU of its own goes first on the one there is; where that is not allowed, it waits. */
static void go_first(struct shop *shop)
{
	struct sched_param param = { .sched_priority = 50 };

	if (shop->spec->client_cpu < 0)
		sched_setscheduler(0, SCHED_FIFO, &param);
}

static void sleep_until(int64_t when)
{
	struct timespec until = {
		.tv_sec = when / 1000000000, .tv_nsec = when % 1000000000,
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static uint64_t batch_ops(struct shop *shop)
{
	uint64_t ops = 0;

	for (uint32_t i = 0; i < shop->spec->batch; i++)
		ops += atomic_load(&shop->run->threads[shop->spec->workers + i].ops);
	return ops;
}

static void send_all(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	const int64_t soon = 200000;
	uint64_t before;

	/*
	 * Batch, too: a worker that has never run stands on the idle list, and one
	 * that a request wakes would wait behind it for a whole slice.
	 */
	while (!lab_stopped(shop->run) &&
	       atomic_load(&shop->ready) < spec->workers + spec->batch)
		sleep_until(lab_now() + soon);
	before = batch_ops(shop);
	shop->begin = lab_now() + soon;
	for (uint32_t i = 0; i < spec->requests && !lab_stopped(shop->run); i++) {
		int64_t when = shop->begin + (int64_t)spec->arrival_ns[i];

		if (lab_now() < when)
			sleep_until(when);
		atomic_fetch_add(&shop->arrived, 1);
		match(shop);
	}
	while (!lab_stopped(shop->run) && atomic_load(&shop->answered) < spec->requests)
		sleep_until(lab_now() + soon);
	spec->elapsed_ns = (uint64_t)(lab_now() - shop->begin);
	spec->batch_ops = batch_ops(shop) - before;
}

/* The world outside; ends the run, and sends the crew home. */
static void *client_body(void *arg)
{
	struct lab_thread *self = arg;
	struct shop *shop = shop_of(self);
	bool registered;

	if (!lab_thread_begin(self))
		return NULL;
	go_first(shop);
	registered = is_umcg(shop) && umcg_register_basic_task(0) != UMCG_NONE;
	if (is_umcg(shop) && !registered)
		lab_fail(self->run, "registration of the client", errno);
	if (!lab_stopped(self->run))
		send_all(shop);
	lab_stop(self->run);
	for (uint32_t i = 0; i < shop->spec->workers; i++)
		hand_over(shop, i, LEAVE);
	if (registered)
		umcg_unregister_task();
	lab_thread_end(self);
	return NULL;
}

/* Batch is told by `urgent` 0; behind the gate it is not read before that opens. */
static int make_threads(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	enum lab_role role = is_umcg(shop) ? LAB_WORKER : LAB_THREAD;
	uint32_t aside = spec->client_cpu >= 0;
	struct lab_thread *made;

	for (uint32_t i = 0; i < spec->workers + spec->batch; i++) {
		made = lab_thread_new(shop->run, role,
				      i < spec->workers ? crew_body : batch_body,
				      spec->cpus, spec->nr_cpus);
		if (!made)
			return -1;
		made->urgent = i < spec->workers;
	}
	return lab_thread_new(shop->run, LAB_BASIC, client_body, &spec->client_cpu,
			      aside) ? 0 : -1;
}

static void measure(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	uint32_t all;
	bool made = !make_threads(shop);

	if (!made)
		lab_fail(shop->run, "pthread_create", errno);
	all = shop->run->nr_threads;
	if (!made || (shop->crew && crew_start(shop->crew, spec->client_cpu))) {
		lab_gate(shop->run, false);
		lab_join(shop->run, 0, all);
		return;
	}
	lab_gate(shop->run, true);
	/* The client last: it sends the others home. */
	lab_join(shop->run, 0, all);
	for (uint32_t i = 0; i + 1 < all; i++)
		spec->cpu_ns += shop->run->threads[i].cpu_ns;
}

static int prepare(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	size_t crew = spec->workers + spec->batch;

	shop->hands = aligned_alloc(64, crew * sizeof(struct hand));
	if (!shop->hands)
		return -1;
	memset(shop->hands, 0, crew * sizeof(struct hand));
	for (uint32_t i = 0; i < spec->requests; i++)
		spec->latency_ns[i] = -1;
	return 0;
}

/* CPU time of the servers and of the scheduler's other threads belongs to the crew's. */
static void close_crew(struct shop *shop, uint32_t threads)
{
	struct lab_run *run = shop->run;

	crew_end(shop->crew, &shop->spec->cpu_ns, &shop->spec->preempts);
	for (uint32_t i = threads; i < run->nr_threads; i++)
		shop->spec->cpu_ns += run->threads[i].cpu_ns;
}

int lab_requests(struct lab_run *run, struct lab_requests *spec)
{
	struct shop shop = { .spec = spec, .run = run };
	uint32_t crew = spec->workers + spec->batch;

	run->context = &shop;
	if (prepare(&shop)) {
		lab_fail(run, "memory for the crew", ENOMEM);
	} else {
		if (is_umcg(&shop))
			shop.crew = crew_new(run, &spec->policy, crew, spec->servers, spec->cpus,
					     spec->nr_cpus, 0);
		if (!is_umcg(&shop) || shop.crew)
			measure(&shop);
		if (shop.crew)
			close_crew(&shop, crew + 1);
	}
	free(shop.hands);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
