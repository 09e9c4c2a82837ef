// SPDX-License-Identifier: MIT
/*
 * The policy: urgent workers first, then those that became ready, then the
 * preempted, each in order of arrival. An urgent worker that becomes ready while
 * every place is taken has an ordinary one preempted.
 *
 * Nobody tells a server that lends its place of new arrivals. Where that matters
 * a dispatcher stands by: a server that sleeps for idle workers, runs none, and
 * finds a place for each.
 */
#define _GNU_SOURCE
#include "load.h"

/*
 * A server that finds no work is SLEEPING from before its last look at the queues
 * to its return. Who then fills a queue makes it WOKEN and sends it one wake-up,
 * which ends its sleep or the next one. Until it has arrived nobody sends another:
 * the library makes a second one wait for the first to be consumed.
 */
enum sleep { AWAKE, SLEEPING, WOKEN };

static bool is_urgent(umcg_tid task)
{
	struct lab_thread *worker = (struct lab_thread *)umcg_get_task_tag(task);

	return worker && worker->urgent;
}

/* Some server that sleeps is to look at the queues. False: none sleeps. */
static bool wake_sleeper(struct load *load)
{
	struct lab_thread *servers = &load->run->threads[load->spec->workers];

	for (uint32_t i = 0; i < load->spec->servers; i++) {
		int sleeping = SLEEPING;

		if (atomic_load(&load->places[i].sleep) != SLEEPING ||
		    !atomic_compare_exchange_strong(&load->places[i].sleep, &sleeping, WOKEN))
			continue;
		umcg_wake(atomic_load(&servers[i].task), false);
		return true;
	}
	return false;
}

/* Without waiting. Urgent workers are told from others in the order of arrival. */
static umcg_tid look(struct load *load)
{
	umcg_tid task;

	if (!load->spec->urgent) {
		task = umcg_get_idle_worker(false);
		return task != UMCG_NONE ? task : queue_get(&load->preempted);
	}
	while ((task = umcg_get_idle_worker(false)) != UMCG_NONE)
		queue_put(is_urgent(task) ? &load->urgent : &load->ready, task);
	task = queue_get(&load->urgent);
	if (task == UMCG_NONE)
		task = queue_get(&load->ready);
	return task != UMCG_NONE ? task : queue_get(&load->preempted);
}

static umcg_tid sleep_for_work(struct lab_thread *self)
{
	umcg_tid task;
	int err;

	lab_emit(self, lab_now(), self->tid, LAB_WAIT, LAB_RUNNING, LAB_IDLE, 0, 0);
	task = umcg_get_idle_worker(true);
	err = errno;
	lab_emit(self, lab_now(), self->tid, LAB_WAKE, LAB_IDLE, LAB_RUNNING, 0, 0);
	errno = err;
	return task;
}

umcg_tid ready_next(struct load *load, struct lab_thread *self, struct place *place)
{
	umcg_tid task = look(load);
	int sleep = AWAKE;

	if (task == UMCG_NONE) {
		/* WOKEN stays: that wake-up ends the sleep below. */
		atomic_compare_exchange_strong(&place->sleep, &sleep, SLEEPING);
		task = look(load);
		if (task == UMCG_NONE) {
			task = sleep_for_work(self);
			if (task == UMCG_NONE)
				atomic_store(&place->sleep, AWAKE);
		}
		sleep = SLEEPING;
		atomic_compare_exchange_strong(&place->sleep, &sleep, AWAKE);
	}
	/* What is left is for somebody else. The idle list does this by itself. */
	if (queue_has_any(&load->urgent) || queue_has_any(&load->ready) ||
	    queue_has_any(&load->preempted))
		wake_sleeper(load);
	return task;
}

void ready_again(struct load *load, umcg_tid task)
{
	queue_put(&load->preempted, task);
}

bool ready_yields(struct load *load, const struct lab_thread *worker)
{
	return queue_has_any(&load->urgent) && !worker->urgent;
}

void ready_preempt(struct load *load, struct place *place, int64_t now)
{
	struct lab_thread *worker = atomic_load(&place->running);
	int64_t nobody = 0;

	if (!worker || !atomic_compare_exchange_strong(&place->preempted_at, &nobody, now))
		return;
	/*
	 * It may have left the place meanwhile: then it is not running, or only
	 * loses a slice it has just got.
	 */
	if (umcg_preempt_worker(atomic_load(&worker->task)))
		atomic_store(&place->preempted_at, 0);
	else
		atomic_fetch_add(&load->preempts, 1);
}

/* The place whose ordinary worker has run for longest; NULL: none has one. */
static struct place *longest(struct load *load)
{
	struct place *found = NULL;

	for (uint32_t i = 0; i < load->spec->servers; i++) {
		struct place *place = &load->places[i];
		struct lab_thread *worker = atomic_load(&place->running);

		if (!worker || worker->urgent || atomic_load(&place->preempted_at))
			continue;
		if (!found || atomic_load(&place->since) < atomic_load(&found->since))
			found = place;
	}
	return found;
}

/* A worker is ready: into its queue, then somebody must come for it. */
static void dispatch(struct load *load, umcg_tid task)
{
	bool urgent = is_urgent(task);
	struct place *place;

	queue_put(urgent ? &load->urgent : &load->ready, task);
	if (wake_sleeper(load) || !urgent)
		return;
	/* A server that is just about to run a worker looks again, see server.c. */
	place = longest(load);
	if (place)
		ready_preempt(load, place, lab_now());
}

bool ready_wants_dispatcher(const struct lab_load *spec)
{
	return spec->umcg && !spec->group && spec->urgent && spec->slice_ns;
}

bool ready_dispatch(struct load *load, struct lab_thread *self)
{
	umcg_tid task;

	if (atomic_load(&load->closing))
		return false;
	task = sleep_for_work(self);
	if (task != UMCG_NONE) {
		dispatch(load, task);
		return true;
	}
	if (errno == EINTR)
		return true;
	lab_fail(self->run, "umcg_get_idle_worker", errno);
	return false;
}

void ready_dismiss(struct load *load)
{
	struct lab_thread *dispatcher = load->dispatcher;

	if (!dispatcher)
		return;
	atomic_store(&load->closing, true);
	/* Only a task may wake a task. ESRCH: it has seen that by itself. */
	if (umcg_register_basic_task(0) == UMCG_NONE ||
	    (umcg_wake(atomic_load(&dispatcher->task), false) && errno != ESRCH) ||
	    umcg_unregister_task())
		lab_fail(load->run, "farewell of the dispatcher", errno);
	lab_join(load->run, dispatcher->index, dispatcher->index + 1);
}
