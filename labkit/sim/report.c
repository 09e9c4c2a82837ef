// SPDX-License-Identifier: MIT
/* What went wrong: a sentence, then everything that helps to understand it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <umcg-host.h>

#include "internal.h"

#define MOST_SHOWN	16U

static void add(struct sim *sim, const char *format, va_list args)
{
	size_t room = REPORT_ROOM - sim->report_length;
	int n = vsnprintf(sim->report + sim->report_length, room, format, args);

	if (n > 0)
		sim->report_length += (size_t)n < room ? (size_t)n : room - 1;
}

__attribute__((format(printf, 2, 3)))
static void say(struct sim *sim, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(sim, format, args);
	va_end(args);
}

static void print(struct umcg_sched *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(sim_of(s), format, args);
	va_end(args);
}

static void error(struct umcg_sched *s, const char *format, ...)
{
	struct sim *sim = sim_of(s);
	va_list args;

	va_start(args, format);
	vsnprintf(sim->said, sizeof(sim->said), format, args);
	va_end(args);
	/* In init() it is the refusal of options. */
	if (sim->call && strcmp(sim->call, "init"))
		sim_blame(sim, NULL, "%s: %s", umcg_fault_text(UMCG_FAULT_ERROR), sim->said);
}

const struct umcg_sched_host sim_host = { .kick = sim_kick, .error = error, .print = print };

void sim_fail(struct sim *sim, enum sim_outcome outcome, const char *format, ...)
{
	va_list args;

	if (sim->outcome != SIM_DONE)
		return;
	sim->outcome = outcome;
	va_start(args, format);
	add(sim, format, args);
	va_end(args);
}

static void describe(struct sim *sim, const struct sim_thread *thread)
{
	const struct umcg_sched_thread *t = &thread->t;

	say(sim, "thread %d (%s) is %s", sim_tid(sim, thread),
	    sim->spec.name[thread->klass - sim->spec.klass],
	    thread->wants ? "waiting for a lock" : umcg_state_text(t->state));
	if (t->state == UMCG_SCHED_READY)
		say(sim, " since %llu ns", (unsigned long long)t->ready_ns);
	else if (t->state == UMCG_SCHED_RUNNING)
		say(sim, " since %llu ns", (unsigned long long)t->turn_ns);
	if (t->server == UMCG_NO_SERVER)
		say(sim, ", has not run yet");
	else
		say(sim, ", server %u %s", t->server,
		    t->state == UMCG_SCHED_RUNNING ? "has it" : "had it last");
}

static void show_servers(struct sim *sim)
{
	static const char *const text[] = {
		[SERVER_FREE] = "looks for a thread", [SERVER_SLEEPING] = "sleeps",
		[SERVER_STARTING] = "switches to", [SERVER_RUNNING] = "runs",
		[SERVER_BUSY] = "switches back",
	};

	for (uint32_t i = 0; i < sim->s.servers && i < MOST_SHOWN; i++) {
		const struct sim_server *server = &sim->servers[i];

		say(sim, "  server %u %s", i, text[server->state]);
		if (server->thread)
			say(sim, " thread %d", sim_tid(sim, server->thread));
		say(sim, "\n");
	}
	if (sim->s.servers > MOST_SHOWN)
		say(sim, "  and %u more servers\n", sim->s.servers - MOST_SHOWN);
}

/* Ready ones first, then running, then blocked. */
static void show_threads(struct sim *sim)
{
	static const uint8_t order[] = {
		UMCG_SCHED_READY, UMCG_SCHED_RUNNING, UMCG_SCHED_BLOCKED
	};
	uint32_t shown = 0;

	for (size_t k = 0; k < sizeof(order); k++)
		for (uint32_t i = 0; i < sim->slots && shown < MOST_SHOWN; i++) {
			const struct sim_thread *thread = sim_thread_at(sim, i);

			if (thread->t.state != order[k])
				continue;
			shown++;
			say(sim, "  ");
			describe(sim, thread);
			say(sim, "\n");
		}
	if (sim->s.threads > shown)
		say(sim, "  and %u more threads\n", sim->s.threads - shown);
}

void sim_blame(struct sim *sim, const struct sim_thread *thread, const char *format, ...)
{
	va_list args;

	if (sim->outcome != SIM_DONE)
		return;
	sim->outcome = SIM_POLICY;
	say(sim, "policy %s ", sim->s.policy->name);
	va_start(args, format);
	add(sim, format, args);
	va_end(args);
	if (thread) {
		say(sim, "; ");
		describe(sim, thread);
	}
	say(sim, "\nat %llu ns; %u threads are there, %u of them ready\n",
	    (unsigned long long)sim->s.now_ns, sim->s.threads, sim->s.ready);
	show_servers(sim);
	show_threads(sim);
	if (sim->s.policy->dump) {
		say(sim, "%s says: ", sim->s.policy->name);
		sim->call = "dump";
		sim->s.policy->dump(&sim->s);
		sim->call = NULL;
	}
}

void sim_check_lost(struct sim *sim, uint64_t bound_ns)
{
	const struct sim_thread *found = NULL;
	enum umcg_fault fault = UMCG_FAULT_NONE;
	uint32_t idle = 0;

	if (!sim->s.ready)
		return;
	for (uint32_t i = 0; i < sim->s.servers; i++)
		idle += sim->servers[i].state == SERVER_SLEEPING && sim->servers[i].idled;
	for (uint32_t i = 0; i < sim->slots; i++) {
		const struct sim_thread *thread = sim_thread_at(sim, i);
		uint64_t passed = sim->done.turns - thread->turns;

		if (thread->t.state != UMCG_SCHED_READY ||
		    sim->s.now_ns - thread->t.ready_ns < bound_ns ||
		    (found && found->t.ready_ns <= thread->t.ready_ns))
			continue;
		if (idle && !(sim->s.flags & UMCG_MAY_IDLE))
			fault = UMCG_FAULT_LOST;
		/* Those before it in a queue may have ended meanwhile. */
		else if (passed > 10ULL * sim->most_threads && !(sim->s.flags & UMCG_MAY_STARVE))
			fault = UMCG_FAULT_PASSED;
		else
			continue;
		found = thread;
	}
	if (found)
		sim_blame(sim, found, "%s", umcg_fault_text(fault));
}

void sim_check_locks(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->slots; i++) {
		const struct sim_thread *thread = sim_thread_at(sim, i);

		if (thread->t.state != UMCG_SCHED_BLOCKED || !thread->wants)
			continue;
		sim_fail(sim, SIM_WORKLOAD, "threads wait for each other's locks for ever: thread %d "
			 "(%s) waits for one that thread %d (%s) holds; take the locks in one order",
			 sim_tid(sim, thread), sim->spec.name[thread->klass - sim->spec.klass],
			 sim_tid(sim, sim->locks[thread->wants - 1].owner),
			 sim->spec.name[sim->locks[thread->wants - 1].owner->klass - sim->spec.klass]);
		return;
	}
}

const char *sim_report(struct sim *sim)
{
	return sim->report;
}
