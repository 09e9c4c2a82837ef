// SPDX-License-Identifier: MIT
/*
 * What the scheduler decided (its trace), as rows of the event table: states of
 * workers and of servers. Written when the run is over, so it costs no time in it.
 *
 * The scheduler sees that a worker is blocked, and later that it is ready again;
 * since when it was either, the worker itself knows where it knows what it waits
 * for (struct lab_wait).
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "crew.h"

/* Where one worker is in its story. */
struct tale {
	uint32_t wait;			/* the next of its waits to look at */
	int64_t since;			/* its turn began */
	int64_t asked;			/* the end of its turn was asked for; 0 */
	int64_t due;			/* what it is blocked for happens; 0: unknown */
	int64_t stopped;
	bool blocked;
};

struct writer {
	struct lab_run *run;
	struct lab_thread *servers;
	struct tale *tales;
	struct umcg_sched_event event;
};

static struct lab_thread *server_of(struct writer *w)
{
	return &w->servers[w->event.server == UMCG_NO_SERVER ? 0 : w->event.server];
}

/* All in one ring, so that rows of the same time stay in the order of the decisions. */
static void put(struct writer *w, int64_t t, int32_t tid, enum lab_kind kind, enum lab_state old,
		enum lab_state new, int32_t peer, int64_t arg)
{
	lab_emit_on(w->servers, server_of(w)->cpu, t, tid, kind, old, new, peer, arg);
}

/*
 * The wait that the worker was in at time @t, when its server was back. One call
 * can block again and again, as a lock does that another got first.
 */
static const struct lab_wait *wait_at(struct lab_thread *worker, struct tale *tale, int64_t t)
{
	while (tale->wait < worker->nr_waits && worker->waits[tale->wait].end < t)
		tale->wait++;
	if (tale->wait < worker->nr_waits && worker->waits[tale->wait].begin <= t)
		return &worker->waits[tale->wait];
	return NULL;
}

static void write_ready(struct writer *w, struct lab_thread *worker, struct tale *tale)
{
	int64_t now = (int64_t)w->event.time_ns, due = tale->due;

	if (w->event.why == UMCG_WHY_NEW)
		put(w, now, worker->tid, LAB_REGISTER, LAB_NONE, LAB_BLOCKED, 0, 0);
	else if (!tale->blocked)
		return;
	if (!due || due > now)
		due = now;
	put(w, due > tale->stopped ? due : tale->stopped, worker->tid, LAB_WAKE, LAB_BLOCKED, LAB_IDLE,
	    0, 0);
	tale->blocked = false;
}

static void write_run(struct writer *w, struct lab_thread *worker, struct tale *tale)
{
	int64_t now = (int64_t)w->event.time_ns;
	struct lab_thread *server = server_of(w);

	*tale = (struct tale){ .wait = tale->wait, .since = now };
	server->ops++;
	put(w, now, server->tid, LAB_RUN, LAB_RUNNING, LAB_IDLE, worker->tid, 0);
	put(w, now, worker->tid, LAB_RUN, LAB_IDLE, LAB_RUNNING, server->tid, 0);
}

static void write_stop(struct writer *w, struct lab_thread *worker, struct tale *tale)
{
	int64_t now = (int64_t)w->event.time_ns, arg = 0;
	struct lab_thread *server = server_of(w);
	enum lab_state new_state = LAB_IDLE;
	enum lab_kind kind = LAB_YIELD;
	const struct lab_wait *wait;

	tale->stopped = now;
	switch (w->event.why) {
	case UMCG_WHY_ENDED:
		kind = LAB_UNREGISTER;
		new_state = LAB_NONE;
		break;
	case UMCG_WHY_PREEMPTED:
	case UMCG_WHY_EXPIRED:
		kind = LAB_PREEMPT;
		arg = tale->asked ? now - tale->asked : 0;
		break;
	case UMCG_WHY_BLOCKED:
		kind = LAB_BLOCK;
		new_state = LAB_BLOCKED;
		tale->blocked = true;
		wait = wait_at(worker, tale, now);
		if (wait && wait->begin > tale->since)
			arg = now - wait->begin;
		if (wait)
			tale->due = wait->due;
		break;
	}
	put(w, now, worker->tid, kind, LAB_RUNNING, new_state, server->tid, arg);
	put(w, now, server->tid, kind, LAB_IDLE, LAB_RUNNING, worker->tid, 0);
}

static void write_one(struct writer *w)
{
	int64_t now = (int64_t)w->event.time_ns;
	struct lab_thread *worker = &w->run->threads[w->event.tag];
	struct tale *tale = &w->tales[w->event.tag];

	switch (w->event.kind) {
	case UMCG_SCHED_EVENT_READY:
		write_ready(w, worker, tale);
		break;
	case UMCG_SCHED_EVENT_RUN:
		write_run(w, worker, tale);
		break;
	case UMCG_SCHED_EVENT_STOP:
		write_stop(w, worker, tale);
		break;
	case UMCG_SCHED_EVENT_KICK:
		tale->asked = now;
		break;
	case UMCG_SCHED_EVENT_SLEEP:
		put(w, now, server_of(w)->tid, LAB_WAIT, LAB_RUNNING, LAB_IDLE, 0, 0);
		break;
	case UMCG_SCHED_EVENT_WAKE:
		put(w, now, server_of(w)->tid, LAB_WAKE, LAB_IDLE, LAB_RUNNING, 0, 0);
		break;
	}
}

/* What found no room in the scheduler's own trace comes after all that did. */
static void note_lost(struct writer *w, uint64_t lost)
{
	struct lab_thread *first = w->servers;

	if (!lost)
		return;
	lab_lose(first, (int64_t)w->event.time_ns, LAB_RUN);
	lab_lose(first, lab_now(), LAB_RUN);
	first->lost += lost - 1;
}

void lab_rows_write(struct lab_run *run, struct umcg_sched *sched, uint32_t first_server, int64_t begin)
{
	struct writer w = { .run = run, .servers = &run->threads[first_server] };
	uint32_t servers = lab_nr_tasks(run) - first_server;
	struct umcg_sched_stats stats;

	w.tales = calloc(first_server, sizeof(*w.tales));
	if (!w.tales) {
		lab_fail(run, "memory for the rows", ENOMEM);
		return;
	}
	w.event.time_ns = (uint64_t)begin;
	for (w.event.server = 0; w.event.server < servers; w.event.server++)
		put(&w, begin, server_of(&w)->tid, LAB_REGISTER, LAB_NONE, LAB_RUNNING, 0, 0);
	while (umcg_sched_read_trace(sched, &w.event, 1))
		write_one(&w);
	umcg_sched_get_stats(sched, &stats);
	note_lost(&w, stats.trace_lost);
	for (w.event.server = 0; w.event.server < servers; w.event.server++)
		put(&w, lab_now(), server_of(&w)->tid, LAB_UNREGISTER, LAB_RUNNING, LAB_NONE, 0, 0);
	free(w.tales);
}
