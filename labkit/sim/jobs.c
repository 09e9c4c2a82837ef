// SPDX-License-Identifier: MIT
/*
 * Where jobs come from, and what a thread does for one. A job draws its times from
 * a stream of its own, in the order of its steps, so that it is the same whatever
 * schedules it.
 */
#include <stdlib.h>

#include "description.h"
#include "internal.h"

#define STEPS_WITHOUT_TIME	1000000U

static uint32_t number_of(const struct sim *sim, const struct sim_class *klass)
{
	return (uint32_t)(klass - sim->spec.klass);
}

static struct sim_class_state *state_of(struct sim *sim, const struct sim_class *klass)
{
	return &sim->classes[number_of(sim, klass)];
}

static uint64_t draw(const struct sim *sim, uint32_t distribution, uint64_t job, uint64_t *draws)
{
	return sim_draw_of(&sim->spec, distribution, job, draws);
}

/* The policy may know of the job now. */
static void renew(struct sim *sim, struct sim_thread *thread)
{
	const struct sim_class *klass = thread->klass;

	thread->renew = 0;
	thread->t.request_ns = thread->arrived;
	thread->t.request_service_ns = 0;
	thread->t.deadline_ns = klass->deadline ? thread->arrived + klass->deadline : 0;
	thread->t.expected_ns = klass->size_known ?
		sim_computing(&sim->spec, klass, thread->job, thread->draws) : 0;
	thread->t.flags &= (uint8_t)~UMCG_THREAD_DROPPED;
}

/* A job for @thread, which does not run. Its stream has to be there. */
static void take(struct sim_thread *thread, uint64_t job, uint64_t arrived)
{
	thread->job = job;
	thread->arrived = arrived;
	thread->remaining = 0;
	thread->repeat = 0;
	thread->step = 0;
	thread->started = 0;
	thread->renew = 1;
}

static uint64_t stream(struct sim *sim, const struct sim_class *klass, uint64_t job)
{
	return sim_stream(sim->spec.seed, number_of(sim, klass), job);
}

void sim_wake(struct sim *sim, struct sim_thread *thread)
{
	if (sim->spec.wake_ns)
		sim_put(sim, sim->s.now_ns + sim->spec.wake_ns, DUE(DUE_WAKE, sim->wakes++), thread);
	else
		sim_woken(sim, thread);
}

void sim_woken(struct sim *sim, struct sim_thread *thread)
{
	enum umcg_why why = thread->asked ? UMCG_WHY_WOKEN : UMCG_WHY_NEW;

	if (thread->renew)
		renew(sim, thread);
	thread->asked = 1;
	sim_emit(sim, sim_tid(sim, thread), -1, KIND_WAKE, STATE_BLOCKED, STATE_IDLE, 0, 0, 0);
	sim_ready(sim, thread, why);
}

static bool keep_waiting(struct sim_class_state *state, uint64_t arrived)
{
	if (state->waiting_count == state->waiting_room) {
		uint64_t room = state->waiting_room ? 2 * state->waiting_room : 64;
		uint64_t *ring = malloc(room * sizeof(*ring));

		if (!ring)
			return false;
		for (uint64_t i = 0; i < state->waiting_count; i++)
			ring[i] = state->waiting[(state->waiting_first + i) % state->waiting_room];
		free(state->waiting);
		state->waiting = ring;
		state->waiting_first = 0;
		state->waiting_room = room;
	}
	state->waiting[(state->waiting_first + state->waiting_count++) % state->waiting_room] =
		arrived;
	return true;
}

/* When does the next job come, at least at @from? */
static void expect(struct sim *sim, const struct sim_class *klass, uint64_t from)
{
	struct sim_class_state *state = state_of(sim, klass);
	uint64_t time;

	if (sim_arrival(&sim->spec, klass, state->done.come, from, &state->draws, &time))
		sim_put(sim, time, DUE(DUE_ARRIVAL, number_of(sim, klass)), (void *)klass);
}

/* All threads of a closed loop begin; thread i does jobs i, i + threads, ... */
static void begin_loop(struct sim *sim, const struct sim_class *klass)
{
	struct sim_class_state *state = state_of(sim, klass);

	for (uint64_t i = 0; i < klass->threads && i < klass->jobs; i++) {
		struct sim_thread *thread = sim_thread_new(sim, klass);

		if (!thread)
			return;
		take(thread, i, sim->s.now_ns);
		thread->draws = stream(sim, klass, i);
		state->done.come++;
		sim_wake(sim, thread);
	}
}

bool sim_arrivals_begin(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->spec.classes; i++) {
		const struct sim_class *klass = &sim->spec.klass[i];
		struct sim_class_state *state = &sim->classes[i];

		state->draws = sim_stream(sim->spec.seed, i, SIM_STREAM_OF_ARRIVALS);
		if (klass->arrivals == SIM_CLOSED) {
			if (klass->offset < sim->spec.duration)
				sim_put(sim, klass->offset, DUE(DUE_ARRIVAL, i), (void *)klass);
			continue;
		}
		for (uint32_t j = 0; j < klass->threads; j++) {
			struct sim_thread *thread = sim_thread_new(sim, klass);

			if (!thread)
				return false;
			sim_queue_put(&state->idle, thread);
		}
		expect(sim, klass, 0);
	}
	return sim->outcome == SIM_DONE;
}

void sim_arrive(struct sim *sim, const struct sim_class *klass)
{
	struct sim_class_state *state = state_of(sim, klass);
	struct sim_thread *thread;

	if (klass->arrivals == SIM_CLOSED) {
		begin_loop(sim, klass);
		return;
	}
	state->done.come++;
	expect(sim, klass, sim->s.now_ns);
	thread = klass->threads ? sim_queue_get(&state->idle) : sim_thread_new(sim, klass);
	if (thread) {
		take(thread, state->next, sim->s.now_ns);
		thread->draws = stream(sim, klass, state->next++);
		sim_wake(sim, thread);
	} else if (klass->threads && !keep_waiting(state, sim->s.now_ns)) {
		sim_fail(sim, SIM_MEMORY, "jobs that wait");
	}
}

static void unlock(struct sim *sim, struct sim_thread *thread)
{
	struct sim_lock *lock = &sim->locks[thread->held[--thread->held_count]];
	struct sim_thread *next = sim_queue_get(&lock->waiting);

	lock->owner = next;
	if (!next)
		return;
	next->held[next->held_count++] = (uint16_t)(lock - sim->locks);
	next->wants = 0;
	sim_wake(sim, next);
}

/* False: another has the lock. */
static bool lock(struct sim *sim, struct sim_thread *thread, uint32_t number)
{
	struct sim_lock *lock = &sim->locks[number];

	if (!lock->owner) {
		lock->owner = thread;
		thread->held[thread->held_count++] = (uint16_t)number;
		return true;
	}
	sim->done.locks_waited++;
	thread->wants = number + 1;
	sim_queue_put(&lock->waiting, thread);
	return false;
}

/* Service of the turn so far belongs to the request that ends. */
static void count_service(struct sim *sim, struct sim_thread *thread)
{
	thread->t.request_service_ns += sim->s.now_ns - thread->counted;
	thread->counted = sim->s.now_ns;
}

/*
 * The job of @thread is over, one way or another. True: it has the next one
 * already; else its turn is over.
 */
static bool next_job(struct sim *sim, struct sim_thread *thread, enum umcg_why *why)
{
	const struct sim_class *klass = thread->klass;
	struct sim_class_state *state = state_of(sim, klass);
	uint64_t arrived = sim->s.now_ns;

	if (klass->arrivals == SIM_CLOSED) {
		uint64_t job = thread->job + klass->threads;

		if (job >= klass->jobs) {
			*why = UMCG_WHY_ENDED;
			return false;
		}
		thread->draws = stream(sim, klass, job);
		arrived += draw(sim, klass->think, job, &thread->draws);
		if (arrived >= sim->spec.duration) {
			*why = UMCG_WHY_ENDED;
			return false;
		}
		take(thread, job, arrived);
		state->done.come++;
		if (arrived > sim->s.now_ns) {
			sim_put(sim, arrived + sim->spec.wake_ns, DUE(DUE_WAKE, sim->wakes++), thread);
			*why = UMCG_WHY_BLOCKED;
			return false;
		}
	} else if (!klass->threads) {
		*why = UMCG_WHY_ENDED;
		return false;
	} else if (!state->waiting_count) {
		sim_queue_put(&state->idle, thread);
		*why = UMCG_WHY_WAITING;
		return false;
	} else {
		take(thread, state->next, state->waiting[state->waiting_first]);
		thread->draws = stream(sim, klass, state->next++);
		state->waiting_first = (state->waiting_first + 1) % state->waiting_room;
		state->waiting_count--;
	}
	count_service(sim, thread);
	renew(sim, thread);
	sim_first_run(sim, thread);
	return true;
}

void sim_first_run(struct sim *sim, struct sim_thread *thread)
{
	struct sim_class_state *state = state_of(sim, thread->klass);

	thread->started = 1;
	if (!sim_histogram_add(&state->response, sim->s.now_ns - thread->arrived))
		sim_fail(sim, SIM_MEMORY, "times");
}

static void job_done(struct sim *sim, struct sim_thread *thread)
{
	struct sim_class_state *state = state_of(sim, thread->klass);
	uint64_t latency = sim->s.now_ns - thread->arrived;

	state->done.done++;
	state->done.late += thread->klass->deadline && latency > thread->klass->deadline;
	if (!sim_histogram_add(&state->latency, latency))
		sim_fail(sim, SIM_MEMORY, "times");
	sim_emit(sim, sim_tid(sim, thread), (int32_t)thread->t.server, KIND_OP, STATE_RUNNING,
		 STATE_RUNNING, 0, 0, (int64_t)latency);
}

bool sim_drop(struct sim *sim, struct sim_thread *thread, enum umcg_why *why)
{
	state_of(sim, thread->klass)->done.dropped++;
	sim_emit(sim, sim_tid(sim, thread), (int32_t)thread->t.server, KIND_MARK, STATE_RUNNING,
		 STATE_RUNNING, 0, 0, (int64_t)(sim->s.now_ns - thread->arrived));
	thread->remaining = 0;
	while (thread->held_count)
		unlock(sim, thread);
	return next_job(sim, thread, why) && sim_advance(sim, thread, why);
}

bool sim_advance(struct sim *sim, struct sim_thread *thread, enum umcg_why *why)
{
	const struct sim_class *klass = thread->klass;
	uint64_t time;

	for (uint32_t steps = 0; sim->outcome == SIM_DONE; steps++) {
		const struct sim_step *step = &sim->spec.step[klass->first_step + thread->step];

		if (steps > STEPS_WITHOUT_TIME) {
			sim_fail(sim, SIM_WORKLOAD, "class %u goes on and on in no time; give its "
				 "phases, its thinking or its jobs a bound",
				 number_of(sim, klass));
			break;
		}
		if (thread->step == klass->steps) {
			thread->step = 0;
			if (++thread->repeat < klass->repeat)
				continue;
			job_done(sim, thread);
			if (!next_job(sim, thread, why))
				return false;
			continue;
		}
		thread->step++;
		switch (step->kind) {
		case SIM_COMPUTE:
			thread->remaining = draw(sim, step->of, thread->job, &thread->draws);
			if (thread->remaining)
				return true;
			break;
		case SIM_SLEEP:
		case SIM_IO:
		case SIM_FAULT:
			time = draw(sim, step->of, thread->job, &thread->draws);
			sim_put(sim, sim->s.now_ns + time + sim->spec.wake_ns,
				DUE(DUE_WAKE, sim->wakes++), thread);
			*why = UMCG_WHY_BLOCKED;
			return false;
		case SIM_LOCK:
			if (lock(sim, thread, step->of))
				break;
			*why = UMCG_WHY_BLOCKED;
			return false;
		case SIM_UNLOCK:
			unlock(sim, thread);
			break;
		case SIM_YIELD:
			*why = UMCG_WHY_YIELDED;
			return false;
		}
	}
	*why = UMCG_WHY_BLOCKED;
	return false;
}
