// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The dispatcher: a server of libumcg that runs no thread. While the others lend
 * their places it sleeps for arrivals, hands each to the policy, and makes
 * sure that a server takes it. Only for policies with before(): others do not mind
 * that an arrival waits until a server looks.
 */
#include "internal.h"

void *dispatcher_body(void *actor)
{
	struct actor *self = actor;
	struct runtime *rt = self->rt;
	umcg_tid task;

	if (actor_begin(self, true))
		return NULL;
	lock(rt);
	if (sigsetjmp(self->env, 0))
		recover(self);
	while (!rt->closing) {
		unlock(rt);
		task = umcg_get_idle_worker(true);
		lock(rt);
		tick(rt, umcg_get_time_ns());
		catch_up(rt);
		if (task != UMCG_NONE)
			arrive(rt, task);
		take_arrivals(rt);
		pass_on(rt);
	}
	unlock(rt);
	actor_resign(self);
	return NULL;
}
