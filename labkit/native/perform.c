// SPDX-License-Identifier: MIT
/*
 * A workload by its description, on threads of this kernel; see perform.h.
 *
 * A thread is a plain one until its first job is handed to it; then it is the
 * scheduler's, to which it is new. Between jobs it waits for the next (open loop) or
 * sleeps (closed loop).
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
#include <sys/timerfd.h>

#include "../sim/description.h"
#include "crew.h"
#include "perform.h"
#include "turns.h"

#define LEAVE		UINT32_MAX
#define MOST_HELD	8		/* as in labkit/sim */

/* A class, and the threads that do its jobs. */
struct part {
	const struct sim_class *klass;
	uint32_t number;
	uint32_t first, threads;	/* of the run's */
	bool pool;			/* its threads share its jobs */
	struct hall hall;		/* what each is handed: a job's number + 1 */
	uint64_t *arrival;		/* open loop: of each job, ns after the begin */
	uint64_t jobs, sent;
};

/* What a thread knows of its job. */
struct actor {
	struct part *part;
	_Atomic bool entered;		/* the scheduler has it */
	int timer;			/* its device; -1 */
	uint32_t page;
	uint64_t draws;			/* the job's stream */
	uint32_t held;
	struct turns *held_lock[MOST_HELD];
	uint64_t held_ticket[MOST_HELD];
};

struct stage {
	struct lab_perform *spec;
	const struct sim_spec *sim;
	struct lab_run *run;
	struct crew *crew;
	struct part *parts;
	struct actor *actors;
	struct turns *locks;
	struct lab_pages pages;
	uint32_t threads;
	int64_t begin;
	_Alignas(64) _Atomic uint64_t left;	/* jobs of open loops, threads of closed ones */
	_Alignas(64) _Atomic uint64_t done;
	_Alignas(64) _Atomic uint32_t over;	/* 1: nothing is left */
};

static const struct sim_spec *description_of(intptr_t description)
{
	return (const struct sim_spec *)description;
}

static bool is_closed(const struct sim_class *klass)
{
	return klass->arrivals == SIM_CLOSED;
}

/* Into @arrival, if it is given. */
static uint64_t arrivals(const struct sim_spec *sim, uint32_t number, uint64_t most, uint64_t *arrival)
{
	const struct sim_class *klass = &sim->klass[number];
	uint64_t draws = sim_stream(sim->seed, number, SIM_STREAM_OF_ARRIVALS), time = 0, job = 0;

	for (; job < most && sim_arrival(sim, klass, job, time, &draws, &time); job++)
		if (arrival)
			arrival[job] = time;
	return job;
}

uint64_t lab_perform_threads(intptr_t description, uint32_t number, uint64_t most)
{
	const struct sim_spec *sim = description_of(description);
	const struct sim_class *klass = &sim->klass[number];
	uint64_t threads = klass->threads;

	if (is_closed(klass) && klass->offset >= sim->duration)
		return 0;
	if (is_closed(klass) && klass->jobs < threads)
		threads = klass->jobs;
	if (!is_closed(klass) && !threads)
		threads = arrivals(sim, number, most + 1, NULL);
	return threads > most ? UINT64_MAX : threads;
}

/* The calling thread, or the client for a thread that waits: what the policy is told of a job. */
static void describe(struct stage *stage, uint32_t index, uint64_t job, uint64_t arrived)
{
	struct part *part = stage->actors[index].part;
	umcg_tid task = atomic_load(&stage->run->threads[index].task);
	uint64_t draws = sim_stream(stage->sim->seed, part->number, job);

	if (!stage->crew)
		return;
	if (part->klass->deadline)
		umcg_sched_set_deadline(task, (uint64_t)stage->begin + arrived + part->klass->deadline);
	if (part->klass->size_known)
		umcg_sched_set_expected(task, sim_computing(stage->sim, part->klass, job, draws));
}

static void hand(struct stage *stage, uint32_t index, uint32_t word)
{
	struct actor *actor = &stage->actors[index];
	_Atomic uint32_t *to = &actor->part->hall.hands[index - actor->part->first].word;
	/* Before the word: with it the thread goes on, and may change that. */
	bool entered = actor->entered;

	atomic_store(to, word);
	if (!entered)
		lab_futex(to, FUTEX_WAKE_PRIVATE, 1);
	else if (umcg_wake(atomic_load(&stage->run->threads[index].task), false) && errno != ESRCH)
		lab_fail(stage->run, "umcg_wake", errno);
}

struct giving {
	struct stage *stage;
	struct part *part;
};

static void give(void *arg, uint32_t index, uint32_t job)
{
	struct giving *giving = arg;
	uint32_t thread = giving->part->first + index;

	if (giving->stage->actors[thread].entered)
		describe(giving->stage, thread, job, giving->part->arrival[job]);
	hand(giving->stage, thread, job + 1);
}

static void match(struct stage *stage, struct part *part)
{
	struct giving giving = { stage, part };

	hall_match(&part->hall, give, &giving);
}

static void one_less(struct stage *stage)
{
	if (atomic_fetch_sub(&stage->left, 1) != 1)
		return;
	atomic_store(&stage->over, 1);
	lab_futex(&stage->over, FUTEX_WAKE_PRIVATE, 1);
}

/* A job's number + 1, or LEAVE. */
static uint32_t wait_for_hand(struct stage *stage, struct lab_thread *self, struct actor *actor)
{
	_Atomic uint32_t *from = &actor->part->hall.hands[self->index - actor->part->first].word;
	uint32_t word;

	if (!actor->entered) {
		while (!(word = atomic_exchange(from, 0)))
			lab_futex(from, FUTEX_WAIT_PRIVATE, 0);
		return word;
	}
	do {
		/* One wait for one wake-up: a second one would wait for the first. */
		if (umcg_wait(0) && errno != EINTR) {
			lab_fail(stage->run, "umcg_wait", errno);
			return LEAVE;
		}
	} while (!(word = atomic_exchange(from, 0)));
	return word;
}

/* The first job makes it one of the scheduler's threads. */
static int enter(struct stage *stage, struct lab_thread *self, struct actor *actor, uint64_t job,
		 uint64_t arrived)
{
	const struct sim_class *klass = actor->part->klass;
	struct umcg_sched_attr attr = {
		.weight = klass->weight, .priority = klass->priority,
		.tenant = (uint16_t)klass->tenant, .klass = (uint16_t)actor->part->number,
	};

	if (!stage->crew) {
		lab_emit(self, lab_now(), self->tid, LAB_REGISTER, LAB_NONE, LAB_RUNNING, 0, 0);
		return 0;
	}
	if (klass->deadline)
		attr.deadline_ns = (uint64_t)stage->begin + arrived + klass->deadline;
	if (klass->size_known)
		attr.expected_ns = sim_computing(stage->sim, klass, job, actor->draws);
	if (crew_enter(stage->crew, self, &attr))
		return -1;
	actor->entered = true;
	return 0;
}

/* A device that answers when the time is over: the thread waits in read(). */
static int ask_device(struct lab_thread *self, struct actor *actor, uint64_t time)
{
	int64_t due = lab_now() + (int64_t)time, begin;
	struct itimerspec until = {
		.it_value = { .tv_sec = due / 1000000000, .tv_nsec = due % 1000000000 },
	};
	uint64_t answer;
	ssize_t got;

	if (timerfd_settime(actor->timer, TFD_TIMER_ABSTIME, &until, NULL))
		return -1;
	atomic_store_explicit(&self->due, due, memory_order_relaxed);
	begin = lab_block_begin(self);
	do
		got = read(actor->timer, &answer, sizeof(answer));
	while (got < 0 && errno == EINTR);
	lab_block_end(self, begin);
	return got == sizeof(answer) ? 0 : -1;
}

static void unlock(struct actor *actor)
{
	actor->held--;
	turns_unlock(actor->held_lock[actor->held], actor->held_ticket[actor->held]);
}

static int yield(struct stage *stage)
{
	return stage->crew ? umcg_sched_yield() : sched_yield();
}

static int take_step(struct stage *stage, struct lab_thread *self, struct actor *actor,
		     const struct sim_step *step, uint64_t job)
{
	struct turns *lock;
	uint64_t time = 0;

	if (sim_is_timed(step))
		time = sim_draw_of(stage->sim, step->of, job, &actor->draws);
	switch (step->kind) {
	case SIM_COMPUTE:
		lab_spin(stage->run, (uint64_t)((double)time * stage->spec->turns_per_ns + 0.5));
		return 0;
	case SIM_SLEEP:
		lab_sleep_until(self, lab_now() + (int64_t)time);
		return 0;
	case SIM_IO:
		return ask_device(self, actor, time);
	case SIM_FAULT:
		return lab_pages_touch(&stage->pages, self, &actor->page);
	case SIM_LOCK:
		lock = &stage->locks[step->of];
		actor->held_ticket[actor->held] = turns_lock(lock, self);
		actor->held_lock[actor->held++] = lock;
		return 0;
	case SIM_UNLOCK:
		unlock(actor);
		return 0;
	default:
		return yield(stage);
	}
}

/* False: the policy has given the job up. */
static bool take_steps(struct stage *stage, struct lab_thread *self, struct actor *actor, uint64_t job)
{
	const struct sim_class *klass = actor->part->klass;

	for (uint64_t i = 0; i < klass->repeat; i++)
		for (uint32_t j = 0; j < klass->steps && !lab_stopped(stage->run); j++) {
			if (stage->crew && umcg_sched_dropped())
				return false;
			if (take_step(stage, self, actor, &stage->sim->step[klass->first_step + j], job))
				lab_fail(stage->run, "a step of a job", errno);
		}
	return true;
}

static void do_job(struct stage *stage, struct lab_thread *self, struct actor *actor, uint64_t job,
		   uint64_t arrived)
{
	struct lab_job done = {
		.arrived = (int64_t)arrived, .began = lab_now() - stage->begin, .number = job,
		.tid = self->tid, .klass = (uint16_t)actor->part->number,
	};
	uint64_t slot;

	done.dropped = !take_steps(stage, self, actor, job);
	while (actor->held)
		unlock(actor);
	if (lab_stopped(stage->run))
		return;
	done.ended = lab_now() - stage->begin;
	slot = atomic_fetch_add(&stage->done, 1);
	if (slot < stage->spec->room)
		stage->spec->jobs[slot] = done;
	if (!done.dropped)
		lab_finished(self, done.ended + stage->begin, done.ended - done.arrived);
}

/* The next job of an open loop's thread, in order of arrival; false: none will come. */
static bool next_job(struct stage *stage, struct lab_thread *self, struct actor *actor, uint64_t *job)
{
	struct part *part = actor->part;
	uint32_t word;

	if (!part->pool)
		return false;
	if (actor->entered)
		umcg_sched_begin_request();
	if (hall_take(&part->hall, &word)) {
		*job = word;
		describe(stage, self->index, *job, part->arrival[*job]);
		return true;
	}
	hall_rest(&part->hall, self->index - part->first);
	match(stage, part);
	word = wait_for_hand(stage, self, actor);
	*job = word - 1;
	return word != LEAVE;
}

static void work_open(struct stage *stage, struct lab_thread *self, struct actor *actor, uint64_t job)
{
	struct part *part = actor->part;

	do {
		actor->draws = sim_stream(stage->sim->seed, part->number, job);
		do_job(stage, self, actor, job, part->arrival[job]);
		one_less(stage);
	} while (!lab_stopped(stage->run) && next_job(stage, self, actor, &job));
}

/* Thread i of a closed loop does jobs i, i + threads, ... */
static void work_closed(struct stage *stage, struct lab_thread *self, struct actor *actor, uint64_t job)
{
	const struct sim_class *klass = actor->part->klass;
	uint64_t arrived = klass->offset;

	for (;;) {
		do_job(stage, self, actor, job, arrived);
		job += klass->threads;
		if (job >= klass->jobs || lab_stopped(stage->run))
			break;
		if (actor->entered)
			umcg_sched_begin_request();
		arrived = (uint64_t)(lab_now() - stage->begin);
		actor->draws = sim_stream(stage->sim->seed, actor->part->number, job);
		arrived += sim_draw_of(stage->sim, klass->think, job, &actor->draws);
		if (arrived >= stage->sim->duration)
			break;
		describe(stage, self->index, job, arrived);
		if (stage->begin + (int64_t)arrived > lab_now())
			lab_sleep_until(self, stage->begin + (int64_t)arrived);
	}
	one_less(stage);
}

static void *thread_body(void *arg)
{
	struct lab_thread *self = arg;
	struct stage *stage = self->run->context;
	struct actor *actor = &stage->actors[self->index];
	struct part *part = actor->part;
	uint64_t job, arrived;
	uint32_t word;

	if (!lab_thread_begin(self))
		return NULL;
	word = wait_for_hand(stage, self, actor);
	if (word != LEAVE) {
		job = word - 1;
		arrived = is_closed(part->klass) ? part->klass->offset : part->arrival[job];
		actor->draws = sim_stream(stage->sim->seed, part->number, job);
		if (enter(stage, self, actor, job, arrived))
			lab_fail(self->run, "registration of a worker", errno);
		else if (is_closed(part->klass))
			work_closed(stage, self, actor, job);
		else
			work_open(stage, self, actor, job);
		if (!stage->crew)
			lab_emit(self, lab_now(), self->tid, LAB_UNREGISTER, LAB_RUNNING, LAB_NONE, 0, 0);
		else if (actor->entered && umcg_sched_leave())
			lab_fail(self->run, "umcg_sched_leave", errno);
	}
	lab_thread_end(self);
	return NULL;
}

/* When something comes of this class next; UINT64_MAX: never again. */
static uint64_t due(const struct part *part)
{
	if (is_closed(part->klass))
		return part->sent || !part->threads ? UINT64_MAX : part->klass->offset;
	return part->sent < part->jobs ? part->arrival[part->sent] : UINT64_MAX;
}

static struct part *next_due(struct stage *stage)
{
	struct part *first = NULL;

	for (uint32_t i = 0; i < stage->sim->classes; i++)
		if (due(&stage->parts[i]) != UINT64_MAX &&
		    (!first || due(&stage->parts[i]) < due(first)))
			first = &stage->parts[i];
	return first;
}

static void send(struct stage *stage, struct part *part)
{
	uint64_t job = part->sent++;

	if (is_closed(part->klass)) {
		for (uint32_t i = 0; i < part->threads; i++)
			hand(stage, part->first + i, i + 1);
	} else if (part->pool) {
		hall_arrive(&part->hall);
		match(stage, part);
	} else {
		hand(stage, part->first + (uint32_t)job, (uint32_t)job + 1);
	}
}

/* Looks out for a stop; the last thread ends it. */
static void wait_for_end(struct stage *stage)
{
	const struct timespec step = { .tv_nsec = 20000000 };

	while (!lab_stopped(stage->run) && !atomic_load(&stage->over))
		syscall(SYS_futex, &stage->over, FUTEX_WAIT_PRIVATE, 0, &step, NULL, 0);
}

static void play(struct stage *stage)
{
	const int64_t soon = 200000;
	struct part *part;

	stage->begin = lab_now() + soon;
	while (!lab_stopped(stage->run) && (part = next_due(stage))) {
		int64_t when = stage->begin + (int64_t)due(part);

		if (lab_now() < when)
			lab_rest_until(when);
		send(stage, part);
	}
	if (atomic_load(&stage->left))
		wait_for_end(stage);
	stage->spec->elapsed_ns = (uint64_t)(lab_now() - stage->begin);
}

/* Lets jobs come; at the end it sends those home that wait for more. */
static void *client_body(void *arg)
{
	struct lab_thread *self = arg;
	struct stage *stage = self->run->context;
	bool registered;

	if (!lab_thread_begin(self))
		return NULL;
	if (stage->spec->client_cpu < 0)
		lab_go_first();
	registered = stage->crew && umcg_register_basic_task(0) != UMCG_NONE;
	if (stage->crew && !registered)
		lab_fail(self->run, "registration of the client", errno);
	if (!lab_stopped(self->run))
		play(stage);
	for (uint32_t i = 0; i < stage->threads; i++)
		hand(stage, i, LEAVE);
	if (registered)
		umcg_unregister_task();
	lab_thread_end(self);
	return NULL;
}

static bool needs(const struct stage *stage, const struct part *part, uint32_t kind)
{
	for (uint32_t i = 0; i < part->klass->steps; i++)
		if (stage->sim->step[part->klass->first_step + i].kind == kind)
			return true;
	return false;
}

/* What the threads of a class need; the first of them is the next. */
static int prepare_part(struct stage *stage, uint32_t number, uint32_t first)
{
	struct part *part = &stage->parts[number];
	const struct sim_class *klass = &stage->sim->klass[number];
	bool device;

	part->klass = klass;
	part->number = number;
	part->first = first;
	part->threads = (uint32_t)lab_perform_threads(stage->spec->description, number, UINT32_MAX - 1);
	part->pool = !is_closed(klass) && klass->threads;
	if (hall_open(&part->hall, part->threads ? part->threads : 1))
		return -1;
	if (!is_closed(klass)) {
		part->jobs = arrivals(stage->sim, number, LEAVE - 1, NULL);
		part->arrival = malloc((part->jobs + 1) * sizeof(*part->arrival));
		if (!part->arrival)
			return -1;
		arrivals(stage->sim, number, part->jobs, part->arrival);
	}
	device = needs(stage, part, SIM_IO);
	for (uint32_t i = 0; i < part->threads; i++) {
		struct actor *actor = &stage->actors[first + i];

		actor->part = part;
		if (device)
			actor->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
		if (device && actor->timer < 0)
			return -1;
		if (part->pool)
			hall_rest(&part->hall, part->threads - 1 - i);
	}
	atomic_fetch_add(&stage->left, is_closed(klass) ? part->threads : part->jobs);
	return 0;
}

static int prepare(struct stage *stage)
{
	const struct sim_spec *sim = stage->sim;
	uint32_t first = 0;
	bool faults = false;

	for (uint32_t i = 0; i < sim->classes; i++)
		stage->threads += (uint32_t)lab_perform_threads(stage->spec->description, i, UINT32_MAX - 1);
	stage->parts = calloc(sim->classes, sizeof(*stage->parts));
	stage->actors = calloc(stage->threads + 1, sizeof(*stage->actors));
	stage->locks = aligned_alloc(64, (sim->locks + 1) * sizeof(*stage->locks));
	if (!stage->parts || !stage->actors || !stage->locks)
		return -1;
	for (uint32_t i = 0; i <= stage->threads; i++)
		stage->actors[i].timer = -1;
	for (uint32_t i = 0; i < sim->locks; i++)
		if (turns_open(&stage->locks[i], stage->threads))
			return -1;
	for (uint32_t i = 0; i < sim->classes; i++) {
		if (prepare_part(stage, i, first))
			return -1;
		first += stage->parts[i].threads;
		faults |= needs(stage, &stage->parts[i], SIM_FAULT);
	}
	return faults ? lab_pages_map(&stage->pages, stage->spec->file, stage->threads) : 0;
}

static void tidy(struct stage *stage)
{
	lab_pages_unmap(&stage->pages);
	for (uint32_t i = 0; stage->actors && i < stage->threads; i++)
		if (stage->actors[i].timer >= 0)
			close(stage->actors[i].timer);
	for (uint32_t i = 0; stage->parts && i < stage->sim->classes; i++) {
		hall_close(&stage->parts[i].hall);
		free(stage->parts[i].arrival);
	}
	for (uint32_t i = 0; stage->locks && i < stage->sim->locks; i++)
		turns_close(&stage->locks[i]);
	free(stage->locks);
	free(stage->actors);
	free(stage->parts);
}

static int make_threads(struct stage *stage)
{
	struct lab_perform *spec = stage->spec;
	enum lab_role role = spec->umcg ? LAB_WORKER : LAB_THREAD;

	for (uint32_t i = 0; i < stage->threads; i++)
		if (!lab_thread_new(stage->run, role, thread_body, spec->cpus, spec->nr_cpus))
			return -1;
	return lab_thread_new(stage->run, LAB_BASIC, client_body, &spec->client_cpu,
			      spec->client_cpu >= 0) ? 0 : -1;
}

static void measure(struct stage *stage)
{
	bool made = !make_threads(stage);
	uint32_t all = stage->run->nr_threads;

	if (!made)
		lab_fail(stage->run, "pthread_create", errno);
	made = made && !(stage->crew && crew_start(stage->crew, stage->spec->client_cpu));
	lab_gate(stage->run, made);
	lab_join(stage->run, 0, all);
}

int lab_perform(struct lab_run *run, struct lab_perform *spec)
{
	struct stage stage = { .spec = spec, .sim = description_of(spec->description), .run = run };

	run->context = &stage;
	if (prepare(&stage)) {
		lab_fail(run, "memory, devices or pages of the threads", errno);
	} else {
		if (spec->umcg)
			stage.crew = crew_new(run, &spec->policy, stage.threads, spec->servers,
					      spec->cpus, spec->nr_cpus,
					      run->threads[stage.threads + 1].max_events);
		if (!spec->umcg || stage.crew)
			measure(&stage);
		if (stage.crew)
			crew_end(stage.crew, &spec->helpers_ns, &spec->preempts);
	}
	spec->done = atomic_load(&stage.done);
	tidy(&stage);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
