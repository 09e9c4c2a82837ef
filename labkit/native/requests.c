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
#include "load.h"

#define LEAVE	UINT32_MAX

/* What one thread of the crew is handed: a request's number + 1, or LEAVE. */
struct hand {
	_Alignas(64) _Atomic uint32_t word;
	uint32_t next;			/* index + 1 of the next idle worker */
	bool waits;			/* its server's: preempted, counted in shop.waiting */
};

struct shop {
	struct lab_requests *spec;
	struct lab_run *run;
	struct hand *hands;
	struct place *places;
	umcg_t group;
	int64_t begin;
	struct queue preempted, batch;	/* workers that were taken off their place */
	_Atomic uint32_t sleepers;	/* servers that may see no more than the idle list */
	_Alignas(64) _Atomic uint32_t arrived, taken;	/* the backlog: what is between */
	_Alignas(64) _Atomic uint64_t idle;		/* index + 1; a count against ABA above */
	_Alignas(64) _Atomic uint32_t answered;
	_Atomic int32_t waiting;	/* requests handed out, or preempted, that do not run */
	_Atomic uint64_t preempts;
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

/* Bring idle workers and waiting requests together; how many requests got one. */
static uint32_t match(struct shop *shop)
{
	uint32_t index, request, matched = 0;

	while (atomic_load(&shop->taken) < atomic_load(&shop->arrived)) {
		if (!pop_idle(shop, &index))
			break;
		if (!take_request(shop, &request)) {
			push_idle(shop, index);
			continue;
		}
		atomic_fetch_add(&shop->waiting, 1);
		hand_over(shop, index, request + 1);
		matched++;
	}
	return matched;
}

/* The next request's number + 1, or LEAVE. */
static uint32_t next_request(struct shop *shop, struct lab_thread *self)
{
	struct hand *hand = &shop->hands[self->index];
	uint32_t word, request;

	if (take_request(shop, &request))
		return request + 1;
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
	atomic_fetch_sub(&shop->waiting, 1);
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
	if (be(shop, self->urgent == 0))
		lab_fail(shop->run, "nice, cgroup or SCHED_FIFO of a thread", errno);
	if (!is_umcg(shop))
		return false;
	atomic_store(&self->task, umcg_get_utid());
	if (umcg_register_worker(shop->group, (intptr_t)self) != UMCG_NONE)
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
	if (registered && umcg_unregister_task())
		lab_fail(self->run, "umcg_unregister_task", errno);
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
	if (registered && umcg_unregister_task())
		lab_fail(self->run, "umcg_unregister_task", errno);
	lab_thread_end(self);
	return NULL;
}

static umcg_tid take_kept(struct shop *shop)
{
	umcg_tid task = queue_get(&shop->preempted);

	return task != UMCG_NONE ? task : queue_get(&shop->batch);
}

/*
 * The policy: fresh requests, then those that were preempted, then batch. A
 * server that finds none is counted as a sleeper before its last look at the
 * queues: what keep() puts there is in time for that look, or keep() sees the count.
 */
static umcg_tid next_task(struct shop *shop)
{
	umcg_tid task = umcg_get_idle_worker(false);

	if (task == UMCG_NONE)
		task = take_kept(shop);
	if (task != UMCG_NONE)
		return task;
	atomic_fetch_add(&shop->sleepers, 1);
	task = take_kept(shop);
	if (task == UMCG_NONE)
		task = umcg_get_idle_worker(true);
	atomic_fetch_sub(&shop->sleepers, 1);
	return task;
}

/*
 * @task was preempted. Beside a server that sleeps no queue keeps a worker: it
 * goes to the idle list, which wakes that server.
 */
static void keep(struct shop *shop, struct queue *queue, umcg_tid task)
{
	queue_put(queue, task);
	if (!atomic_load(&shop->sleepers))
		return;
	task = queue_get(queue);
	if (task != UMCG_NONE && umcg_put_idle_worker(task))
		lab_fail(shop->run, "umcg_put_idle_worker", errno);
}

/* Is @worker batch, and is there a request that goes first? */
static bool request_waits_for(struct shop *shop, const struct lab_thread *worker)
{
	return shop->spec->urgent && !worker->urgent && atomic_load(&shop->waiting) > 0 &&
	       !lab_stopped(shop->run);
}

static bool serve_one(struct shop *shop, struct place *place)
{
	umcg_tid task = next_task(shop), back;
	struct lab_thread *worker;

	if (task == UMCG_NONE) {
		if (errno == EINTR || errno == EAGAIN)
			return true;
		lab_fail(shop->run, "umcg_get_idle_worker", errno);
		return false;
	}
	worker = (struct lab_thread *)umcg_get_task_tag(task);
	if (worker) {
		struct hand *hand = &shop->hands[worker->index];

		if (hand->waits)
			atomic_fetch_sub(&shop->waiting, 1);
		hand->waits = false;
		atomic_store(&place->since, lab_now());
		atomic_store(&place->running, worker);
		/* Who has a request wait from now on finds batch in the place. */
		if (request_waits_for(shop, worker)) {
			atomic_store(&place->running, NULL);
			keep(shop, &shop->batch, task);
			return true;
		}
	}
	errno = 0;
	back = umcg_run_worker(task);
	atomic_store(&place->running, NULL);
	atomic_store(&place->preempted_at, 0);
	if (back == UMCG_NONE) {
		if (errno)
			lab_fail(shop->run, "umcg_run_worker", errno);
		return worker && !errno;	/* without a tag: the farewell */
	}
	worker = (struct lab_thread *)umcg_get_task_tag(back);
	if (!worker || !umcg_is_preempted(back))
		return true;
	if (!worker->urgent) {
		keep(shop, &shop->batch, back);
		return true;
	}
	shop->hands[worker->index].waits = true;
	atomic_fetch_add(&shop->waiting, 1);
	keep(shop, &shop->preempted, back);
	return true;
}

static struct place *place_of(struct shop *shop, struct lab_thread *self)
{
	return &shop->places[self->index - shop->spec->workers - shop->spec->batch];
}

static void *server_body(void *arg)
{
	struct lab_thread *self = arg;
	struct shop *shop = shop_of(self);

	if (!lab_thread_begin(self))
		return NULL;
	if (umcg_register_server(shop->group, (intptr_t)self) == UMCG_NONE) {
		lab_fail(self->run, "registration of a server", errno);
	} else {
		while (serve_one(shop, place_of(shop, self)))
			;
		umcg_unregister_task();
	}
	lab_thread_end(self);
	return NULL;
}

/* Who has no CPU aside goes first on the one there is; where that is not allowed, it waits. */
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

static void preempt(struct shop *shop, struct place *place, struct lab_thread *worker)
{
	if (atomic_exchange(&place->preempted_at, 1))
		return;
	if (umcg_preempt_worker(atomic_load(&worker->task)))
		atomic_store(&place->preempted_at, 0);
	else
		atomic_fetch_add(&shop->preempts, 1);
}

static void *watchdog_body(void *arg)
{
	struct lab_thread *self = arg;
	struct shop *shop = shop_of(self);
	int64_t slice = (int64_t)shop->spec->slice_ns;

	if (!lab_thread_begin(self))
		return NULL;
	go_first(shop);
	while (!lab_stopped(self->run)) {
		int64_t now = lab_now();

		for (uint32_t i = 0; i < shop->spec->servers; i++) {
			struct place *place = &shop->places[i];
			struct lab_thread *worker = atomic_load(&place->running);

			if (!worker)
				continue;
			/* make_room() may have come before the worker was RUNNING. */
			if (request_waits_for(shop, worker) ||
			    (now - atomic_load(&place->since) >= slice &&
			     (!worker->urgent || atomic_load(&shop->waiting) > 0)))
				preempt(shop, place, worker);
		}
		sleep_until(now + slice / 4);
	}
	lab_thread_end(self);
	return NULL;
}

/* A request has come: batch makes room for it, if no place is free for it. */
static void make_room(struct shop *shop)
{
	for (uint32_t i = 0; i < shop->spec->servers; i++)
		if (!atomic_load(&shop->places[i].running))
			return;
	for (uint32_t i = 0; i < shop->spec->servers; i++) {
		struct lab_thread *worker = atomic_load(&shop->places[i].running);

		if (worker && !worker->urgent) {
			preempt(shop, &shop->places[i], worker);
			return;
		}
	}
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
	 * Batch, too: a worker that has never run stands on the idle list, and whom
	 * a request wakes would wait behind it for a whole slice.
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
		if (match(shop) && spec->urgent)
			make_room(shop);
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

/* Batch is told by `urgent` 0; behind the gate nobody reads it before it opens. */
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
	for (uint32_t i = 0; i < spec->servers; i++)
		if (!lab_thread_new(shop->run, LAB_SERVER, server_body,
				    &spec->cpus[i % spec->nr_cpus], 1))
			return -1;
	if (is_umcg(shop) && spec->slice_ns &&
	    !lab_thread_new(shop->run, LAB_THREAD, watchdog_body, &spec->client_cpu, aside))
		return -1;
	return lab_thread_new(shop->run, LAB_BASIC, client_body, &spec->client_cpu,
			      aside) ? 0 : -1;
}

static void measure(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	uint32_t crew = spec->workers + spec->batch, all;

	if (make_threads(shop)) {
		lab_fail(shop->run, "pthread_create", errno);
		lab_gate(shop->run, false);
		lab_join(shop->run, 0, shop->run->nr_threads);
		return;
	}
	all = shop->run->nr_threads;
	lab_gate(shop->run, true);
	lab_join(shop->run, crew + spec->servers, all);
	lab_join(shop->run, 0, crew);
	/* One worker without a tag for each server sends it home. */
	for (uint32_t i = 0; i < spec->servers; i++)
		if (umcg_register_worker(shop->group, 0) == UMCG_NONE ||
		    umcg_unregister_task()) {
			lab_fail(shop->run, "farewell of a server", errno);
			return;
		}
	lab_join(shop->run, crew, crew + spec->servers);
	for (uint32_t i = 0; i + 1 < all; i++)
		spec->cpu_ns += shop->run->threads[i].cpu_ns;
	spec->preempts = atomic_load(&shop->preempts);
}

static int prepare(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	size_t places = spec->servers + 1, crew = spec->workers + spec->batch;

	shop->hands = aligned_alloc(64, crew * sizeof(struct hand));
	shop->places = aligned_alloc(64, places * sizeof(struct place));
	if (!shop->hands || !shop->places)
		return -1;
	memset(shop->hands, 0, crew * sizeof(struct hand));
	memset(shop->places, 0, places * sizeof(struct place));
	for (uint32_t i = 0; i < spec->requests; i++)
		spec->latency_ns[i] = -1;
	return queue_init(&shop->preempted, (uint32_t)crew + 1) ||
	       queue_init(&shop->batch, (uint32_t)crew + 1) ? -1 : 0;
}

int lab_requests(struct lab_run *run, struct lab_requests *spec)
{
	struct shop shop = { .spec = spec, .run = run, .group = UMCG_NONE };

	if (!is_umcg(&shop))
		spec->servers = 0;
	run->context = &shop;
	if (prepare(&shop)) {
		lab_fail(run, "memory for the crew", ENOMEM);
	} else {
		if (is_umcg(&shop))
			shop.group = umcg_create_group(UMCG_GROUP_ENABLE_PREEMPTION);
		if (is_umcg(&shop) && shop.group == UMCG_NONE)
			lab_fail(run, "umcg_create_group", errno);
		else
			measure(&shop);
		if (shop.group != UMCG_NONE && umcg_destroy_group(shop.group))
			lab_fail(run, "umcg_destroy_group", errno);
	}
	queue_free(&shop.preempted);
	queue_free(&shop.batch);
	free(shop.hands);
	free(shop.places);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
