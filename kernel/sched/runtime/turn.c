// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Threads become ready, their turns begin and end. All of it under the lock. */
#include "call.h"

void be_ready(struct runtime *rt, struct thread *t, enum umcg_why why)
{
	if (unlikely(atomic_load_explicit(&t->wishes.changed, memory_order_relaxed))) {
		grant_wishes(t);
		begin_noted(t, 0);
	}
	store(&t->pub.state, UMCG_SCHED_READY);
	t->pub.ready_ns = rt->base.now_ns;
	t->passed = rt->turns;
	rt->base.ready++;
	rt->version++;
	t->next_arrived = NULL;
	*rt->arrived_end = t;
	rt->arrived_end = &t->next_arrived;
	emit(rt, UMCG_SCHED_EVENT_READY, t, t->pub.server, why, 0);
	policy_ready(rt, t, why);
}

/*
 * @task came off the idle list and is in our hands. If it has a turn, that is over,
 * though its server has not said so yet.
 */
void arrive(struct runtime *rt, umcg_tid task)
{
	struct thread *t = (struct thread *)umcg_get_task_tag(task);
	enum umcg_why why = UMCG_WHY_WOKEN;

	if (t->pub.state == UMCG_SCHED_RUNNING) {
		if (unlikely(rt->passing))
			lose_turn(rt, t);
		else
			end_turn(rt, t, UMCG_WHY_BLOCKED);
	}
	if (unlikely(rt->passing))
		charge_unseen(rt, t);
	if (t->pub.state == UMCG_SCHED_NONE) {
		why = UMCG_WHY_NEW;
		t->pub.request_ns = rt->base.now_ns;
	}
	be_ready(rt, t, why);
}

void take_arrivals(struct runtime *rt)
{
	umcg_tid task;

	catch_up(rt);
	while ((task = umcg_get_idle_worker(false)) != UMCG_NONE)
		arrive(rt, task);
}

/* Bookkeeping of a wait that ends now. */
static inline __attribute__((always_inline)) void count_wait(struct runtime *rt, struct thread *t)
{
	uint64_t waited = rt->base.now_ns - t->pub.ready_ns;

	count(&t->stats.ready_ns, waited);
	count(&rt->stats.ready_ns, waited);
	if (unlikely(waited > t->stats.longest_ready_ns)) {
		store(&t->stats.longest_ready_ns, waited);
		if (waited > rt->stats.longest_ready_ns)
			store(&rt->stats.longest_ready_ns, waited);
	}
}

static inline __attribute__((always_inline))
void sit_down(struct runtime *rt, struct server *server, struct thread *t, uint64_t since, bool ready)
{
	store(&t->pub.state, UMCG_SCHED_RUNNING);
	t->pub.server = server->index;
	t->pub.turn_ns = since;
	t->turn++;
	rt->turns++;
	if (ready)
		rt->base.ready--;
	rt->base.running[server->index] = &t->pub;
	rt->seated++;
	server->since_ns = since;
	server->retry = false;
	atomic_store_explicit(&server->asked, 0, memory_order_relaxed);
	if (ready) {
		atomic_store_explicit(&t->yields, false, memory_order_relaxed);
		count_wait(rt, t);
	}
	if (unlikely(t->pub.flags & UMCG_THREAD_DROPPED) &&
	    !atomic_exchange_explicit(&t->dropped, true, memory_order_relaxed))
		count(&rt->stats.dropped, 1);
	emit(rt, UMCG_SCHED_EVENT_RUN, t, server->index, 0, ready ? since - t->pub.ready_ns : 0);

	server->slice_ns = policy_slice(rt, t);
	server->slice_end = server->slice_ns ? since + server->slice_ns : NEVER;
	if (server->slice_ns)
		timer_notice(rt, server->slice_end);
}

void begin_turn(struct runtime *rt, struct server *server, struct thread *t)
{
	sit_down(rt, server, t, rt->base.now_ns, true);
}

/* @t was not ready: it has had the place of @server since @since, untold. */
COLD void take_seat(struct runtime *rt, struct server *server, struct thread *t, uint64_t since)
{
	sit_down(rt, server, t, since, false);
}

/* @seen: @ran is one turn's. */
static inline __attribute__((always_inline))
void count_turn(struct runtime *rt, struct thread *t, enum umcg_why why, uint64_t ran, bool seen)
{
#define BOTH(field) do { count(&rt->stats.field, 1); count(&t->stats.field, 1); } while (0)
	switch (__builtin_expect(why, UMCG_WHY_BLOCKED)) {
	case UMCG_WHY_PREEMPTED:
		BOTH(preempted);
		break;
	case UMCG_WHY_EXPIRED:
		BOTH(expired);
		break;
	case UMCG_WHY_YIELDED:
		BOTH(yielded);
		break;
	case UMCG_WHY_WAITING:
		BOTH(waited);
		break;
	case UMCG_WHY_ENDED:
		count(&rt->stats.ended, 1);
		break;
	default:
		BOTH(blocked);
	}
	BOTH(turns);
#undef BOTH
	count(&rt->stats.ran_ns, ran);
	if (unlikely(seen && ran > t->stats.longest_turn_ns)) {
		store(&t->stats.longest_turn_ns, ran);
		if (ran > rt->stats.longest_turn_ns)
			store(&rt->stats.longest_turn_ns, ran);
	}
}

static inline __attribute__((always_inline))
void stand_up(struct runtime *rt, struct thread *t, enum umcg_why why, uint64_t ran, bool seen)
{
	struct server *server = &rt->servers[t->pub.server];

	rt->base.running[server->index] = NULL;
	rt->seated--;
	server->slice_end = NEVER;
	server->retry = false;
	store(&t->pub.state, why == UMCG_WHY_ENDED ? UMCG_SCHED_NONE : UMCG_SCHED_BLOCKED);
	count(&t->pub.service_ns, ran);
	t->pub.request_service_ns += ran;
	if (unlikely(atomic_load_explicit(&t->wishes.changed, memory_order_relaxed)))
		begin_noted(t, ran);
	count_turn(rt, t, why, ran, seen);
	if (unlikely(t->copy))
		read_stats(t, t->copy);
	emit(rt, UMCG_SCHED_EVENT_STOP, t, server->index, why, ran);

	t->requeue = why == UMCG_WHY_PREEMPTED || why == UMCG_WHY_EXPIRED || why == UMCG_WHY_YIELDED;
	policy_stopped(rt, t, why, ran);
	/* If the policy was replaced meanwhile, its successor has it already. */
	if (t->requeue) {
		t->requeue = false;
		be_ready(rt, t, why);
	}
	if (why == UMCG_WHY_ENDED)
		slot_put(rt, t);
}

/*
 * A turn of @ran ns: what of it was @t's own. The rest others had that the kernel let run in
 * between: the program's clients, the timer. By their requests' lengths a policy tells short from
 * long, and by the clock a short one is long that was in their way. Of an ended one it is not known.
 */
static COLD uint64_t own_part(struct thread *t, enum umcg_why why, uint64_t ran)
{
	uint64_t cpu = cpu_time_of(t->tid), used = cpu - t->checked_cpu_ns;
	uint64_t counted = t->pub.service_ns - t->checked_service_ns;

	if (why == UMCG_WHY_ENDED || !cpu)
		return ran;
	if (used < counted + ran)
		ran = used > counted ? used - counted : 0;
	t->checked_cpu_ns = cpu;
	t->checked_service_ns = t->pub.service_ns + ran;
	return ran;
}

void end_turn(struct runtime *rt, struct thread *t, enum umcg_why why)
{
	uint64_t ran = rt->base.now_ns - t->pub.turn_ns;

	/* Worth a system call only if it makes a difference. */
	if (unlikely(ran >= CHECKED_NS))
		ran = own_part(t, why, ran);
	stand_up(rt, t, why, ran, true);
}

/* The last of several turns is over, of which the others were not seen: in all it ran for @ran. */
COLD void end_turns(struct runtime *rt, struct thread *t, enum umcg_why why, uint64_t ran)
{
	t->seen_passes = rt->stats.passes;
	stand_up(rt, t, why, ran, false);
}
