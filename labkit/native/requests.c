// SPDX-License-Identifier: MIT
/*
 * An open-loop server: a client sends requests at given times, groups of threads
 * answer, each its own; other groups compute all the time beside them.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>

#include "crew.h"
#include "hall.h"
#include "requests.h"

#define LEAVE	UINT32_MAX

/* A group's requests and idle threads. */
struct line {
	struct hall hall;		/* what each is handed: a request's number + 1, or LEAVE */
	_Atomic uint32_t *order;	/* its requests, in the order in which they arrived */
	struct shop *shop;
	struct lab_group *group;
	uint32_t number, first;		/* of the groups; its first thread */
	uint64_t ops, cpu_ns;		/* of its threads, at the begin */
};

struct shop {
	struct lab_requests *spec;
	struct lab_run *run;
	struct line *lines;
	struct line **line_of;		/* of each thread */
	_Atomic uint32_t *order;
	struct crew *crew;		/* over servers; or NULL */
	uint32_t threads;		/* of all groups */
	int64_t begin;
	_Alignas(64) _Atomic uint32_t over;	/* requests of which it is known what became */
	_Atomic uint32_t ready;		/* threads */
};

static struct shop *shop_of(struct lab_thread *self)
{
	return self->run->context;
}

static bool is_umcg(const struct shop *shop)
{
	return shop->spec->umcg;
}

/* What this thread is handed. */
static _Atomic uint32_t *word_of(const struct shop *shop, uint32_t index)
{
	struct line *line = shop->line_of[index];

	return &line->hall.hands[index - line->first].word;
}

static bool take_request(struct line *line, uint32_t *request)
{
	uint32_t place;

	if (!hall_take(&line->hall, &place))
		return false;
	*request = atomic_load(&line->order[place]);
	return true;
}

/* When it should be answered; 0: there is no such time. */
static uint64_t deadline(const struct shop *shop, uint32_t request)
{
	const struct lab_requests *spec = shop->spec;

	if (!spec->deadline_ns || !spec->deadline_ns[request])
		return 0;
	return (uint64_t)shop->begin + spec->arrival_ns[request] + spec->deadline_ns[request];
}

/* The policy sees it when the worker becomes ready next. */
static void describe(struct shop *shop, struct lab_thread *worker, uint32_t request)
{
	struct lab_requests *spec = shop->spec;
	umcg_tid task = atomic_load(&worker->task);

	if (spec->priority)
		umcg_sched_set_priority(task, spec->priority[request]);
	if (spec->deadline_ns)
		umcg_sched_set_deadline(task, deadline(shop, request));
}

static void hand_over(struct shop *shop, uint32_t index, uint32_t word)
{
	struct lab_thread *worker = &shop->run->threads[index];
	_Atomic uint32_t *to = word_of(shop, index);

	atomic_store(to, word);
	if (!is_umcg(shop)) {
		lab_futex(to, FUTEX_WAKE_PRIVATE, 1);
		return;
	}
	if (umcg_wake(atomic_load(&worker->task), false) && errno != ESRCH)
		lab_fail(shop->run, "umcg_wake", errno);
}

/* Give a group's idle thread the request in this place of the order. */
static void give(void *arg, uint32_t index, uint32_t place)
{
	struct line *line = arg;
	struct shop *shop = line->shop;
	uint32_t request = atomic_load(&line->order[place]);

	index += line->first;
	if (is_umcg(shop))
		describe(shop, &shop->run->threads[index], request);
	hand_over(shop, index, request + 1);
}

static void match(struct line *line)
{
	hall_match(&line->hall, give, line);
}

/* A plain thread tells of its states itself; over servers the scheduler does. */
static void tell(struct shop *shop, struct lab_thread *self, enum lab_kind kind,
		 enum lab_state old_state, enum lab_state new_state)
{
	if (!is_umcg(shop))
		lab_emit(self, lab_now(), self->tid, kind, old_state, new_state, 0, 0);
}

static bool wait_for_word(struct shop *shop, _Atomic uint32_t *from)
{
	/* One wait for one wake-up: a second one would wait for the first. */
	if (!is_umcg(shop)) {
		lab_futex(from, FUTEX_WAIT_PRIVATE, 0);
	} else if (umcg_wait(0) && errno != EINTR) {
		lab_fail(shop->run, "umcg_wait", errno);
		return false;
	}
	return true;
}

/* The next request's number + 1, or LEAVE. */
static uint32_t next_request(struct shop *shop, struct lab_thread *self)
{
	struct line *line = shop->line_of[self->index];
	_Atomic uint32_t *from = word_of(shop, self->index);
	uint32_t word, request;

	/* Before it waits, so that the policy knows when it is ready for it. */
	if (is_umcg(shop))
		umcg_sched_begin_request();
	if (take_request(line, &request)) {
		if (is_umcg(shop))
			describe(shop, self, request);
		return request + 1;
	}
	atomic_store_explicit(&self->blocked, 1, memory_order_relaxed);
	tell(shop, self, LAB_BLOCK, LAB_RUNNING, LAB_BLOCKED);
	hall_rest(&line->hall, self->index - line->first);
	match(line);
	do {
		if (!wait_for_word(shop, from))
			return LEAVE;
	} while (!(word = atomic_exchange(from, 0)));
	tell(shop, self, LAB_WAKE, LAB_BLOCKED, LAB_RUNNING);
	atomic_store_explicit(&self->blocked, 0, memory_order_relaxed);
	return word;
}

/* Nobody wants it any more: the policy has said so, or its time is over. */
static bool given_up(struct shop *shop, uint32_t request)
{
	uint64_t due = shop->spec->drop_late ? deadline(shop, request) : 0;

	return (is_umcg(shop) && umcg_sched_dropped()) || (due && (uint64_t)lab_now() > due);
}

static void answer(struct shop *shop, struct lab_thread *self, uint32_t request)
{
	int64_t now, took;

	if (given_up(shop, request)) {
		shop->spec->latency_ns[request] = LAB_DROPPED;
		atomic_fetch_add(&shop->over, 1);
		return;
	}
	lab_spin(shop->run, shop->spec->turns[request]);
	if (lab_stopped(shop->run))
		return;
	now = lab_now();
	took = now - shop->begin - (int64_t)shop->spec->arrival_ns[request];
	shop->spec->latency_ns[request] = took;
	lab_finished(self, now, took);
	atomic_fetch_add(&shop->over, 1);
}

/* Be scheduled as the group says. */
static int be(const struct lab_group *group)
{
	char tid[16];

	if (group->cgroup >= 0) {
		int length = snprintf(tid, sizeof(tid), "%d", gettid());

		if (write(group->cgroup, tid, (size_t)length) != length)
			return -1;
	}
	if (group->nice && setpriority(PRIO_PROCESS, 0, group->nice))
		return -1;
	if (group->fifo) {
		struct sched_param param = { .sched_priority = group->fifo };

		return sched_setscheduler(0, SCHED_FIFO, &param);
	}
	return 0;
}

static bool enlist(struct shop *shop, struct lab_thread *self)
{
	const struct line *line = shop->line_of[self->index];
	const struct lab_group *group = line->group;
	struct umcg_sched_attr attr = {
		.priority = group->priority, .weight = group->weight,
		.klass = (uint16_t)line->number, .tenant = (uint16_t)group->tenant,
	};

	if (be(group))
		lab_fail(shop->run, "nice, cgroup or SCHED_FIFO of a thread", errno);
	tell(shop, self, LAB_REGISTER, LAB_NONE, LAB_RUNNING);
	if (!is_umcg(shop))
		return false;
	if (!crew_enter(shop->crew, self, &attr))
		return true;
	lab_fail(shop->run, "registration of a worker", errno);
	return false;
}

static void compute(struct shop *shop, struct lab_thread *self)
{
	while (!lab_stopped(self->run)) {
		lab_spin(self->run, shop->spec->endless_turns);
		lab_count(self);
	}
}

static void serve(struct shop *shop, struct lab_thread *self)
{
	uint32_t word;

	while (!lab_stopped(self->run) && (word = next_request(shop, self)) != LEAVE)
		answer(shop, self, word - 1);
}

static void *group_body(void *arg)
{
	struct lab_thread *self = arg;
	struct shop *shop = shop_of(self);
	bool registered;

	if (!lab_thread_begin(self))
		return NULL;
	registered = enlist(shop, self);
	atomic_fetch_add(&shop->ready, 1);
	if (shop->line_of[self->index]->group->endless)
		compute(shop, self);
	else
		serve(shop, self);
	tell(shop, self, LAB_UNREGISTER, LAB_RUNNING, LAB_NONE);
	if (registered && umcg_sched_leave())
		lab_fail(self->run, "umcg_sched_leave", errno);
	lab_thread_end(self);
	return NULL;
}

/* So far, of a thread that runs elsewhere. */
static uint64_t cpu_of(const struct lab_thread *thread)
{
	struct timespec time = { 0 };
	clockid_t clock;

	if (!pthread_getcpuclockid(thread->pthread, &clock))
		clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* What the threads of each group have done and used so far. */
static void look(struct shop *shop, void (*note)(struct line *line, uint64_t ops, uint64_t cpu_ns))
{
	for (uint32_t i = 0; i < shop->spec->nr_groups; i++) {
		struct line *line = &shop->lines[i];
		const struct lab_thread *thread = &shop->run->threads[line->first];
		uint64_t ops = 0, cpu_ns = 0;

		for (uint32_t n = line->group->threads; n--; thread++) {
			ops += atomic_load(&thread->ops);
			cpu_ns += cpu_of(thread);
		}
		note(line, ops, cpu_ns);
	}
}

static void note_begin(struct line *line, uint64_t ops, uint64_t cpu_ns)
{
	line->ops = ops;
	line->cpu_ns = cpu_ns;
}

static void note_end(struct line *line, uint64_t ops, uint64_t cpu_ns)
{
	line->group->ops = ops - line->ops;
	line->group->cpu_ns = cpu_ns - line->cpu_ns;
}

static void send_one(struct shop *shop, uint32_t request)
{
	struct lab_requests *spec = shop->spec;
	struct line *line = &shop->lines[spec->group ? spec->group[request] : 0];
	uint32_t arrived = atomic_load(&line->hall.arrived), most = line->group->most_waiting;

	if (most && arrived - atomic_load(&line->hall.taken) >= most) {
		spec->latency_ns[request] = LAB_REFUSED;
		atomic_fetch_add(&shop->over, 1);
		return;
	}
	atomic_store(&line->order[arrived], request);
	hall_arrive(&line->hall);
	match(line);
}

static void send_all(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	const int64_t soon = 200000;

	/*
	 * The endless, too: a worker that has never run stands on the idle list, and
	 * one that a request wakes would wait behind it for a whole slice.
	 */
	while (!lab_stopped(shop->run) && atomic_load(&shop->ready) < shop->threads)
		lab_rest_until(lab_now() + soon);
	look(shop, note_begin);
	shop->begin = lab_now() + soon;
	for (uint32_t i = 0; i < spec->requests && !lab_stopped(shop->run); i++) {
		int64_t when = shop->begin + (int64_t)spec->arrival_ns[i];

		if (lab_now() < when)
			lab_rest_until(when);
		if (spec->late_ns)
			spec->late_ns[i] = (uint64_t)(lab_now() - when);
		send_one(shop, i);
	}
	while (!lab_stopped(shop->run) && atomic_load(&shop->over) < spec->requests)
		lab_rest_until(lab_now() + soon);
	spec->elapsed_ns = (uint64_t)(lab_now() - shop->begin);
	look(shop, note_end);
}

/* The world outside; ends the run, and sends the others home. */
static void *client_body(void *arg)
{
	struct lab_thread *self = arg;
	struct shop *shop = shop_of(self);
	bool registered;

	if (!lab_thread_begin(self))
		return NULL;
	if (shop->spec->client_cpu < 0)
		lab_go_first();
	registered = is_umcg(shop) && umcg_register_basic_task(0) != UMCG_NONE;
	if (is_umcg(shop) && !registered)
		lab_fail(self->run, "registration of the client", errno);
	if (!lab_stopped(self->run))
		send_all(shop);
	lab_stop(self->run);
	for (uint32_t i = 0; i < shop->threads; i++)
		if (!shop->line_of[i]->group->endless)
			hand_over(shop, i, LEAVE);
	if (registered)
		umcg_unregister_task();
	lab_thread_end(self);
	return NULL;
}

static int make_threads(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	enum lab_role role = is_umcg(shop) ? LAB_WORKER : LAB_THREAD;
	uint32_t aside = spec->client_cpu >= 0;
	struct lab_thread *made;

	for (uint32_t i = 0; i < shop->threads; i++) {
		made = lab_thread_new(shop->run, role, group_body, spec->cpus, spec->nr_cpus);
		if (!made)
			return -1;
		/* Behind the gate it is not read before that opens. */
		made->urgent = shop->line_of[i]->group->priority > 0;
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
	for (uint32_t i = 0; i < spec->nr_groups; i++)
		spec->cpu_ns += spec->groups[i].cpu_ns;
}

/* Each group has its threads in a row, and its part of the order in which requests come. */
static void lay_out(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	uint32_t thread = 0, place = 0;

	for (uint32_t i = 0; i < spec->nr_groups; i++) {
		struct line *line = &shop->lines[i];

		line->shop = shop;
		line->group = &spec->groups[i];
		line->number = i;
		line->first = thread;
		line->order = &shop->order[place];
		for (uint32_t n = line->group->threads; n--;)
			shop->line_of[thread++] = line;
		for (uint32_t n = 0; n < spec->requests; n++)
			place += (spec->group ? spec->group[n] : 0) == i;
	}
}

static int open_lines(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;
	size_t size = spec->nr_groups * sizeof(struct line);

	shop->lines = aligned_alloc(64, size);
	if (!shop->lines)
		return -1;
	memset(shop->lines, 0, size);
	for (uint32_t i = 0; i < spec->nr_groups; i++) {
		if (hall_open(&shop->lines[i].hall, spec->groups[i].threads))
			return -1;
		shop->threads += spec->groups[i].threads;
	}
	return 0;
}

static void close_lines(struct shop *shop)
{
	for (uint32_t i = 0; shop->lines && i < shop->spec->nr_groups; i++)
		hall_close(&shop->lines[i].hall);
	free(shop->lines);
}

static int prepare(struct shop *shop)
{
	struct lab_requests *spec = shop->spec;

	if (open_lines(shop))
		return -1;
	shop->line_of = calloc(shop->threads, sizeof(*shop->line_of));
	shop->order = calloc(spec->requests, sizeof(*shop->order));
	if (!shop->line_of || !shop->order)
		return -1;
	lay_out(shop);
	for (uint32_t i = 0; i < spec->requests; i++)
		spec->latency_ns[i] = LAB_NEVER_CAME;
	return 0;
}

/* CPU time of the servers and of the scheduler's other threads belongs to the crew's. */
static void close_crew(struct shop *shop)
{
	struct lab_run *run = shop->run;

	crew_end(shop->crew, &shop->spec->cpu_ns, &shop->spec->preempts);
	for (uint32_t i = shop->threads + 1; i < run->nr_threads; i++)
		shop->spec->cpu_ns += run->threads[i].cpu_ns;
}

int lab_requests(struct lab_run *run, struct lab_requests *spec)
{
	struct shop shop = { .spec = spec, .run = run };

	run->context = &shop;
	if (prepare(&shop)) {
		lab_fail(run, "memory for the groups", ENOMEM);
	} else {
		/* After the groups' threads and the client come the servers. */
		if (is_umcg(&shop))
			shop.crew = crew_new(run, &spec->policy, shop.threads, spec->servers,
					     spec->cpus, spec->nr_cpus,
					     run->threads[shop.threads + 1].max_events);
		if (!is_umcg(&shop) || shop.crew)
			measure(&shop);
		if (shop.crew)
			close_crew(&shop);
	}
	free(shop.order);
	free(shop.line_of);
	close_lines(&shop);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
