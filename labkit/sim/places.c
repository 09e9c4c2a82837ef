// SPDX-License-Identifier: MIT
/*
 * Servers and their turns. A server is FREE and looks for a thread; it SLEEPs when
 * there is none; with one it is STARTING for the cost of a switch, then RUNNING,
 * and when the turn is over BUSY for the cost of coming back.
 */
#include <stdlib.h>

#include "internal.h"

/* How often servers may look in one instant: some for each that is there. */
#define LOOKS_IN_INSTANT	10000U
#define LOOKS_FOR_EACH		1000U

static void set_bit(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= 1ULL << i % 64;
}

static void clear_bit(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(1ULL << i % 64);
}

static bool has_bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

/* The lowest one, or UMCG_NO_SERVER. */
static uint32_t first_bit(const uint64_t *bits, uint32_t servers)
{
	for (uint32_t i = 0; i < (servers + 63) / 64; i++)
		if (bits[i])
			return i * 64 + (uint32_t)__builtin_ctzll(bits[i]);
	return UMCG_NO_SERVER;
}

static int32_t tid_of(const struct sim_server *server)
{
	return (int32_t)server->number + 1;
}

static void due(struct sim *sim, struct sim_server *server, enum sim_due what, uint64_t time)
{
	server->pending = DUE(what, server->number);
	server->due = time;
	sim_put(sim, time, server->pending, server);
}

void sim_ready(struct sim *sim, struct sim_thread *thread, enum umcg_why why)
{
	thread->t.state = UMCG_SCHED_READY;
	thread->t.ready_ns = sim->s.now_ns;
	thread->turns = sim->done.turns;
	sim->s.ready++;
	if (sim->fresh_count == sim->fresh_room) {
		size_t room = sim->fresh_room ? 2 * sim->fresh_room : 64;
		struct sim_fresh *more = realloc(sim->fresh, room * sizeof(*more));

		if (!more) {
			sim_fail(sim, SIM_MEMORY, "ready threads");
			return;
		}
		sim->fresh = more;
		sim->fresh_room = room;
	}
	sim->fresh[sim->fresh_count++] = (struct sim_fresh){ thread, thread->t.seq };
	sim_call_ready(sim, thread, why);
}

static void free_server(struct sim *sim, struct sim_server *server)
{
	server->state = SERVER_FREE;
	set_bit(sim->free, server->number);
}

/* It sleeps no more, and looks. */
static void wake_server(struct sim *sim, struct sim_server *server)
{
	clear_bit(sim->sleeping, server->number);
	sim_emit(sim, tid_of(server), (int32_t)server->number, KIND_WAKE, STATE_IDLE, STATE_RUNNING,
		 0, 0, 0);
	free_server(sim, server);
}

static void sleep_server(struct sim *sim, struct sim_server *server)
{
	server->state = SERVER_SLEEPING;
	server->idled = true;
	set_bit(sim->sleeping, server->number);
	sim_emit(sim, tid_of(server), (int32_t)server->number, KIND_WAIT, STATE_RUNNING, STATE_IDLE,
		 0, 0, 0);
}

void sim_back(struct sim *sim, struct sim_server *server)
{
	server->pending = 0;
	sim_emit(sim, tid_of(server), (int32_t)server->number, (enum sim_kind)server->row,
		 STATE_IDLE, STATE_RUNNING, 0, 0, 0);
	free_server(sim, server);
}

static void leave_row(struct sim *sim, struct sim_server *server, struct sim_thread *thread,
		      enum umcg_why why)
{
	enum sim_kind kind = KIND_BLOCK;
	enum sim_state state = STATE_BLOCKED;
	int32_t flags = 0;

	switch (why) {
	case UMCG_WHY_PREEMPTED:
	case UMCG_WHY_EXPIRED:
		kind = KIND_PREEMPT;
		state = STATE_IDLE;
		flags = FLAG_PREEMPTED;
		break;
	case UMCG_WHY_YIELDED:
		kind = KIND_YIELD;
		state = STATE_IDLE;
		break;
	case UMCG_WHY_ENDED:
		kind = KIND_UNREGISTER;
		state = STATE_NONE;
		break;
	default:
		break;
	}
	server->row = (uint8_t)kind;
	sim_emit(sim, sim_tid(sim, thread), (int32_t)server->number, kind, STATE_RUNNING, state,
		 flags, tid_of(server), 0);
}

static void count_turn(struct sim *sim, enum umcg_why why)
{
	struct sim_result *done = &sim->done;
	uint64_t *const of[] = {
		[UMCG_WHY_PREEMPTED] = &done->preempted, [UMCG_WHY_EXPIRED] = &done->expired,
		[UMCG_WHY_YIELDED] = &done->yielded, [UMCG_WHY_BLOCKED] = &done->blocked,
		[UMCG_WHY_WAITING] = &done->waited, [UMCG_WHY_ENDED] = &done->ended,
	};

	(*of[why])++;
}

/* The turn on @server is over. */
static void leave(struct sim *sim, struct sim_server *server, enum umcg_why why)
{
	struct sim_thread *thread = server->thread;
	uint64_t ran = sim->s.now_ns - thread->t.turn_ns;
	bool again = why == UMCG_WHY_PREEMPTED || why == UMCG_WHY_EXPIRED || why == UMCG_WHY_YIELDED;
	uint64_t cost = why == UMCG_WHY_PREEMPTED || why == UMCG_WHY_EXPIRED ?
		sim->spec.preempt_ns : sim->spec.block_ns;

	count_turn(sim, why);
	thread->t.state = why == UMCG_WHY_ENDED ? UMCG_SCHED_NONE : UMCG_SCHED_BLOCKED;
	thread->t.service_ns += ran;
	thread->t.request_service_ns += sim->s.now_ns - thread->counted;
	sim->classes[thread->t.klass].done.service_ns += ran;
	server->done.busy_ns += ran;
	server->done.cost_ns += cost;
	server->thread = NULL;
	server->pending = 0;
	server->state = SERVER_BUSY;
	sim->running[server->number] = NULL;
	leave_row(sim, server, thread, why);
	sim_call_stopped(sim, thread, why, ran);
	if (again)
		sim_ready(sim, thread, why);
	else if (why == UMCG_WHY_ENDED)
		sim_thread_free(sim, thread);
	if (cost)
		due(sim, server, DUE_BACK, sim->s.now_ns + cost);
	else
		sim_back(sim, server);
}

/* When does the turn end, as far as one can know? */
static void expect_end(struct sim *sim, struct sim_server *server)
{
	uint64_t computed = sim->s.now_ns + server->thread->remaining;

	server->since = sim->s.now_ns;
	if (server->expires < computed)
		due(sim, server, DUE_EXPIRED, server->expires);
	else
		due(sim, server, DUE_COMPUTED, computed);
}

static void set_slice(struct sim *sim, struct sim_server *server)
{
	uint64_t slice = sim_call_slice(sim, server->thread);

	server->expires = slice && slice < NO_LONGER - sim->s.now_ns ? sim->s.now_ns + slice : NO_LONGER;
}

void sim_start(struct sim *sim, struct sim_server *server)
{
	struct sim_thread *thread = server->thread;
	enum umcg_why why;
	bool goes_on = true;

	server->state = SERVER_RUNNING;
	server->pending = 0;
	thread->counted = sim->s.now_ns;
	sim_emit(sim, tid_of(server), (int32_t)server->number, KIND_RUN, STATE_RUNNING, STATE_IDLE,
		 0, sim_tid(sim, thread), 0);
	sim_emit(sim, sim_tid(sim, thread), (int32_t)server->number, KIND_RUN, STATE_IDLE,
		 STATE_RUNNING, 0, tid_of(server), 0);
	if (thread->t.flags & UMCG_THREAD_DROPPED) {
		goes_on = sim_drop(sim, thread, &why);
	} else {
		if (!thread->started)
			sim_first_run(sim, thread);
		if (!thread->remaining)
			goes_on = sim_advance(sim, thread, &why);
	}
	if (sim->outcome != SIM_DONE)
		return;
	if (!goes_on) {
		leave(sim, server, why);
	} else if (server->kicked) {
		server->kicked = 0;
		leave(sim, server, UMCG_WHY_PREEMPTED);
	} else {
		set_slice(sim, server);
		expect_end(sim, server);
	}
}

void sim_turn_due(struct sim *sim, struct sim_server *server)
{
	struct sim_thread *thread = server->thread;
	enum umcg_why why;

	thread->remaining -= sim->s.now_ns - server->since;
	server->since = sim->s.now_ns;
	if (!thread->remaining && !sim_advance(sim, thread, &why)) {
		if (sim->outcome == SIM_DONE)
			leave(sim, server, why);
		return;
	}
	if (sim->s.now_ns >= server->expires) {
		if (sim->s.ready) {
			leave(sim, server, UMCG_WHY_EXPIRED);
			return;
		}
		set_slice(sim, server);
	}
	expect_end(sim, server);
}

static void look(struct sim *sim, struct sim_server *server)
{
	struct sim_thread *thread;

	clear_bit(sim->free, server->number);
	thread = sim_call_next(sim, server->number);
	if (sim->outcome != SIM_DONE)
		return;
	if (sim->looks++ > LOOKS_IN_INSTANT +
	    (uint64_t)LOOKS_FOR_EACH * (sim->s.threads + sim->s.servers)) {
		sim_blame(sim, thread, "is asked for a next thread again and again while virtual "
			  "time stands still");
		return;
	}
	if (!thread) {
		sleep_server(sim, server);
		return;
	}
	sim->done.turns++;
	sim->s.ready--;
	server->done.turns++;
	server->done.cost_ns += sim->spec.switch_ns;
	server->idled = false;
	server->kicked = 0;
	server->thread = thread;
	server->state = SERVER_STARTING;
	sim->running[server->number] = &thread->t;
	thread->t.state = UMCG_SCHED_RUNNING;
	thread->t.server = server->number;
	thread->t.turn_ns = sim->s.now_ns + sim->spec.switch_ns;
	if (sim->spec.switch_ns)
		due(sim, server, DUE_START, thread->t.turn_ns);
	else
		sim_start(sim, server);
}

static void preempt(struct sim *sim, struct sim_server *server)
{
	if (server->state == SERVER_STARTING) {
		server->kicked = 1;
	} else if (server->state == SERVER_RUNNING) {
		server->thread->remaining -= sim->s.now_ns - server->since;
		leave(sim, server, UMCG_WHY_PREEMPTED);
	}
}

/* Must the thread of server @i, if it has one, give way to @a, and is not told yet? */
static bool gives_way(struct sim *sim, const struct umcg_sched_thread *a, uint32_t i)
{
	return sim->running[i] && sim_before(sim, a, sim->running[i]) && !sim->servers[i].kicked;
}

/* The server whose thread has to give way to @thread, as umcg-policy.h says; or UMCG_NO_SERVER. */
static uint32_t victim(struct sim *sim, const struct sim_thread *thread)
{
	const struct umcg_sched_thread *chosen = NULL, *b;
	uint32_t server = UMCG_NO_SERVER;

	sim_before_begin(sim, thread);
	for (uint32_t i = 0; i < sim->s.servers; i++) {
		if (!gives_way(sim, &thread->t, i))
			continue;
		b = sim->running[i];
		if (chosen && !sim_before(sim, chosen, b) &&
		    (b->turn_ns >= chosen->turn_ns || sim_before(sim, b, chosen)))
			continue;
		chosen = b;
		server = i;
	}
	sim_before_end(sim);
	return server;
}

/* @thread has become ready: a server that sleeps comes for it, or one gives way. */
static void place(struct sim *sim, struct sim_thread *thread)
{
	uint32_t server = thread->t.server;

	if (server == UMCG_NO_SERVER || !has_bit(sim->sleeping, server))
		server = first_bit(sim->sleeping, sim->s.servers);
	if (server != UMCG_NO_SERVER) {
		wake_server(sim, &sim->servers[server]);
	} else if (sim->s.policy->before) {
		server = victim(sim, thread);
		if (server != UMCG_NO_SERVER)
			preempt(sim, &sim->servers[server]);
	}
}

void sim_kick(struct umcg_sched *s, uint32_t server, uint32_t how)
{
	struct sim *sim = sim_of(s);

	if (server >= s->servers) {
		sim_blame(sim, NULL, "kicked server %u; there are 0 to %u", server, s->servers - 1);
		return;
	}
	if (sim->kick_count == sim->kick_room) {
		size_t room = sim->kick_room ? 2 * sim->kick_room : 64;
		uint32_t *more = realloc(sim->kicks, room * sizeof(*more));

		if (!more) {
			sim_fail(sim, SIM_MEMORY, "kicks");
			return;
		}
		sim->kicks = more;
		sim->kick_room = room;
	}
	sim->kicks[sim->kick_count++] = server << 2 | (how & 3);
}

static void kicked(struct sim *sim, uint32_t kick)
{
	struct sim_server *server = &sim->servers[kick >> 2];

	if ((kick & UMCG_KICK_WAKE) && server->state == SERVER_SLEEPING)
		wake_server(sim, server);
	else if (kick & UMCG_KICK_PREEMPT)
		preempt(sim, server);
}

void sim_settle(struct sim *sim)
{
	size_t fresh = 0, kick = 0;

	while (sim->outcome == SIM_DONE) {
		uint32_t server = first_bit(sim->free, sim->s.servers);

		if (server != UMCG_NO_SERVER) {
			look(sim, &sim->servers[server]);
		} else if (kick < sim->kick_count) {
			kicked(sim, sim->kicks[kick++]);
		} else if (fresh < sim->fresh_count) {
			struct sim_fresh next = sim->fresh[fresh++];

			if (next.thread->t.state == UMCG_SCHED_READY && next.thread->t.seq == next.seq)
				place(sim, next.thread);
		} else {
			break;
		}
	}
	sim->fresh_count = 0;
	sim->kick_count = 0;
}
