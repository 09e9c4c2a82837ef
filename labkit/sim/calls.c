// SPDX-License-Identifier: MIT
/* Every call of the policy, with what a report says of it if it does not come back. */
#include <umcg-host.h>

#include "internal.h"

static inline void enter(struct sim *sim, const char *call, const struct sim_thread *about,
			 uint32_t server)
{
	sim->call_about = about;
	sim->call_server = server;
	sim->calls++;
	sim->call = call;
}

static inline void done(struct sim *sim)
{
	sim->call = NULL;
}

void sim_call_ready(struct sim *sim, struct sim_thread *thread, enum umcg_why why)
{
	enter(sim, "ready", thread, UMCG_NO_SERVER);
	sim->s.policy->ready(&sim->s, &thread->t, why);
	done(sim);
}

struct sim_thread *sim_call_next(struct sim *sim, uint32_t server)
{
	struct umcg_sched_thread *t;
	struct sim_thread *thread;

	enter(sim, "next", NULL, server);
	t = sim->s.policy->next(&sim->s, server);
	done(sim);
	if (!t || sim->outcome != SIM_DONE)
		return NULL;
	thread = sim_thread_of(t);
	if (!sim_is_thread(sim, t))
		sim_blame(sim, NULL, "%s (%p, to server %u)", umcg_fault_text(UMCG_FAULT_RUBBISH),
			  (void *)t, server);
	else if (t->state == UMCG_SCHED_RUNNING)
		sim_blame(sim, thread, "%s, to server %u", umcg_fault_text(UMCG_FAULT_TWICE), server);
	else if (t->state != UMCG_SCHED_READY)
		sim_blame(sim, thread, "%s, to server %u", umcg_fault_text(UMCG_FAULT_NOT_READY),
			  server);
	return thread;
}

void sim_call_stopped(struct sim *sim, struct sim_thread *thread, enum umcg_why why, uint64_t ran)
{
	if (!sim->s.policy->stopped)
		return;
	enter(sim, "stopped", thread, thread->t.server);
	sim->s.policy->stopped(&sim->s, &thread->t, why, ran);
	done(sim);
}

uint64_t sim_call_slice(struct sim *sim, struct sim_thread *thread)
{
	uint64_t slice;

	if (!sim->s.policy->slice)
		return 0;
	enter(sim, "slice", thread, thread->t.server);
	slice = sim->s.policy->slice(&sim->s, &thread->t);
	done(sim);
	return slice;
}

void sim_before_begin(struct sim *sim, const struct sim_thread *about)
{
	enter(sim, "before", about, UMCG_NO_SERVER);
}

void sim_before_end(struct sim *sim)
{
	done(sim);
}
