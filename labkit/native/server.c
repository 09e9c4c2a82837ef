// SPDX-License-Identifier: MIT
/*
 * Servers: a loop that takes the next worker, runs it, and looks why it came
 * back. Whose turn it is, ready.c decides.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "load.h"

/*
 * The end of a worker's turn is noted by the server it had or, if that one gets
 * to run late, by the one that runs the worker next: whoever changes the word
 * first does it, so that one worker's rows are in order. The word has the turn's
 * number on top (0: never ran) and, once its end is noted, whether the worker
 * blocked and a time after that of the row, in ns since the load began.
 */
#define TURN_SHIFT	41
#define TURN_BLOCKED	(1ULL << 40)
#define TURN_TIME	(TURN_BLOCKED - 1)

static bool note(struct load *load, struct lab_thread *worker, uint64_t turn,
		 bool blocked, int64_t now)
{
	uint64_t open = turn << TURN_SHIFT;
	uint64_t time = (uint64_t)(now + 1 - load->begin) & TURN_TIME;

	return atomic_compare_exchange_strong(&worker->turn, &open, open | time |
					      (blocked ? TURN_BLOCKED : 0));
}

/* One turn of a worker, as its server saw it. */
struct turn {
	uint64_t number;
	int64_t since;		/* when it began */
	int64_t asked;		/* when its end was asked for; 0 */
	int64_t end;		/* when the server was back */
};

/*
 * Why is @worker back: @preempted, or else what its word, @state, says? Emits its change of state and the
 * server's; @server owns the ring.
 */
static void came_back(struct load *load, struct lab_thread *server,
		      struct lab_thread *worker, const struct turn *turn,
		      bool preempted, uint64_t state)
{
	/* It may be awake again and on the idle list; that it blocked is sure. */
	enum lab_state new_state = LAB_BLOCKED;
	enum lab_kind kind = LAB_BLOCK;
	int64_t now = turn->end;
	int64_t arg = atomic_load_explicit(&worker->blocked_since, memory_order_relaxed);

	/*
	 * One call can block again and again, as a lock does that somebody else
	 * got first. When it did so in a later turn nobody knows.
	 */
	arg = arg > turn->since ? now - arg : 0;
	if (preempted) {
		new_state = LAB_IDLE;
		kind = LAB_PREEMPT;
		arg = turn->asked ? now - turn->asked : 0;
	} else if (state & UMCG_UTF_WORKER_IN_WAIT) {
		new_state = LAB_IDLE;
		kind = LAB_YIELD;
		arg = 0;
	}
	if (note(load, worker, turn->number, kind == LAB_BLOCK, now))
		lab_emit(server, now, worker->tid, kind, LAB_RUNNING, new_state,
			 server->tid, arg);
	lab_emit(server, now, server->tid, kind, LAB_IDLE, LAB_RUNNING, worker->tid, 0);
}

/*
 * How @worker came to stand on the idle list, before its next turn. The wake-up
 * itself is the kernel's and seen by nobody here; its time is that of what the
 * worker waited for, where the workload knows it, but not before the block was
 * seen. Returns the number of the turn.
 */
static uint64_t came_up(struct load *load, struct lab_thread *server,
			struct lab_thread *worker)
{
	uint64_t word = atomic_load(&worker->turn), turn = word >> TURN_SHIFT;
	bool blocked = !atomic_load(&worker->in_wait);
	int64_t now = lab_now(), due, seen;

	if (!turn)
		lab_emit(server, now, worker->tid, LAB_REGISTER, LAB_NONE, LAB_BLOCKED, 0, 0);
	else if (note(load, worker, turn, blocked, now))
		lab_emit(server, now, worker->tid, blocked ? LAB_BLOCK : LAB_YIELD,
			 LAB_RUNNING, blocked ? LAB_BLOCKED : LAB_IDLE, 0, 0);
	word = atomic_load(&worker->turn);
	now = lab_now();
	if (!turn || (word & TURN_BLOCKED)) {
		seen = turn ? load->begin + (int64_t)(word & TURN_TIME) : now;
		due = atomic_load_explicit(&worker->due, memory_order_relaxed);
		if (!turn || !due || due > now)
			due = now;
		lab_emit(server, due > seen ? due : seen, worker->tid, LAB_WAKE,
			 LAB_BLOCKED, LAB_IDLE, 0, 0);
	}
	atomic_store(&worker->turn, (turn + 1) << TURN_SHIFT);
	return turn + 1;
}

static struct place *place_of(struct load *load, struct lab_thread *self)
{
	return &load->places[self->index - load->spec->workers];
}

/*
 * The turn of @worker on @place begins. False: it does not, as an urgent worker
 * that came in the meantime goes first. Who makes one urgent from now on finds
 * @worker in the place and preempts it.
 */
static bool begin_turn(struct load *load, struct lab_thread *self, struct place *place,
		       struct lab_thread *worker, struct turn *turn)
{
	turn->since = lab_now();
	atomic_store(&place->since, turn->since);
	atomic_store(&place->running, worker);
	if (ready_yields(load, worker)) {
		atomic_store(&place->running, NULL);
		return false;
	}
	if (!self->max_events)
		return true;
	turn->number = came_up(load, self, worker);
	turn->since = lab_now();
	lab_emit(self, turn->since, self->tid, LAB_RUN, LAB_RUNNING, LAB_IDLE,
		 worker->tid, 0);
	lab_emit(self, turn->since, worker->tid, LAB_RUN, LAB_IDLE, LAB_RUNNING,
		 self->tid, 0);
	return true;
}

/* One turn: false when this server is dismissed or something failed. */
static bool serve_one(struct load *load, struct lab_thread *self)
{
	struct place *place = place_of(load, self);
	umcg_tid task = ready_next(load, self, place), back;
	struct turn turn = { 0 };
	struct lab_thread *worker;
	bool preempted;
	uint64_t state;

	if (task == UMCG_NONE) {
		if (errno == EINTR || errno == EAGAIN)
			return true;
		lab_fail(load->run, "umcg_get_idle_worker", errno);
		return false;
	}
	worker = (struct lab_thread *)umcg_get_task_tag(task);
	if (worker && !begin_turn(load, self, place, worker, &turn)) {
		ready_again(load, task);
		return true;
	}
	errno = 0;
	back = umcg_run_worker(task);
	turn.end = lab_now();
	atomic_store(&place->running, NULL);
	turn.asked = atomic_exchange(&place->preempted_at, 0);
	lab_count(self);
	if (back == UMCG_NONE) {
		if (errno) {
			lab_fail(load->run, "umcg_run_worker", errno);
			return false;
		}
		if (!worker)
			return false;	/* the farewell */
		lab_emit(self, turn.end, worker->tid, LAB_UNREGISTER, LAB_RUNNING, LAB_NONE,
			 self->tid, 0);
		lab_emit(self, turn.end, self->tid, LAB_UNREGISTER, LAB_IDLE, LAB_RUNNING,
			 worker->tid, 0);
		return true;
	}
	if (!worker)
		return true;	/* the farewell blocked on its way out: it comes again */
	preempted = umcg_is_preempted(back);
	/* If it has ended by now, on another server, it has no state: it did block. */
	state = umcg_get_task_state(back);
	if (self->max_events)
		came_back(load, self, worker, &turn, preempted, state);
	if (preempted)
		ready_again(load, back);
	return true;
}

/* A server from its registration on, until @turn says that it may leave. */
static void *serve(struct lab_thread *self,
		   bool (*turn)(struct load *load, struct lab_thread *self))
{
	struct load *load = self->run->context;

	if (!lab_thread_begin(self))
		return NULL;
	atomic_store(&self->task, umcg_get_utid());
	if (umcg_register_server(load->group, (intptr_t)self) == UMCG_NONE) {
		lab_fail(self->run, "registration of a server", errno);
	} else {
		lab_emit(self, lab_now(), self->tid, LAB_REGISTER, LAB_NONE, LAB_RUNNING, 0, 0);
		while (turn(load, self))
			;
		umcg_unregister_task();
		lab_emit(self, lab_now(), self->tid, LAB_UNREGISTER, LAB_RUNNING, LAB_NONE, 0, 0);
	}
	lab_thread_end(self);
	return NULL;
}

void *lab_server_body(void *thread)
{
	return serve(thread, serve_one);
}

void *lab_dispatcher_body(void *thread)
{
	return serve(thread, ready_dispatch);
}
