// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The timer: ends turns whose slice is over, if a thread is ready, and tries again
 * to preempt where that came too early. It is one of libumcg's servers so that it
 * can look at the idle list; it never sleeps there.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

/* Idle servers: so many slices later the next turn has to wake the timer. */
#define IDLE_SLICES	8

static void timer_wake(struct runtime *rt)
{
	atomic_fetch_add(&rt->timer_word, 1);
	syscall(SYS_futex, &rt->timer_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/*
 * Under lock: something is due at @when. Slices of equal length never wake the
 * timer, as it is up for an earlier one anyway.
 */
void timer_notice(struct runtime *rt, uint64_t when)
{
	if (likely(when >= rt->timer_at))
		return;
	rt->timer_at = when;
	timer_wake(rt);
}

static void look_at(struct runtime *rt, struct server *server)
{
	uint64_t now = rt->base.now_ns;

	if (server->retry)
		ask_again(rt, server);
	if (now < server->slice_end)
		return;
	if (rt->base.ready) {
		server->slice_end = NEVER;
		ask_end(rt, server, UMCG_WHY_EXPIRED);
		return;
	}
	/* No thread wants the place: another slice, as the policy now thinks. */
	server->slice_ns = policy_slice(rt, thread_of(rt->base.running[server->index]));
	server->slice_end = server->slice_ns ? now + server->slice_ns : NEVER;
}

/* Under lock. Is a slice over? Then threads on the idle list count, too. */
static void take_if_due(struct runtime *rt)
{
	for (uint32_t i = 0; i < rt->base.servers; i++)
		if (rt->base.running[i] && rt->base.now_ns >= rt->servers[i].slice_end) {
			take_arrivals(rt);
			return;
		}
}

/* Under lock. Looks at everything; when to look again. */
static uint64_t look(struct runtime *rt)
{
	uint64_t next = NEVER, now, shortest = NEVER;

	tick(rt, umcg_get_time_ns());
	now = rt->base.now_ns;
	/* What is noticed meanwhile need not wake us. */
	rt->timer_at = 0;
	catch_up(rt);
	take_if_due(rt);
	pass_on(rt);
	for (uint32_t i = 0; i < rt->base.servers; i++) {
		struct server *server = &rt->servers[i];

		if (server->slice_ns && server->slice_ns < shortest)
			shortest = server->slice_ns;
		if (rt->base.running[i])
			look_at(rt, server);
		if (!rt->base.running[i])
			continue;
		rt->timer_busy = now;
		if (server->slice_end < next)
			next = server->slice_end;
		if (server->retry && now + RETRY_NS < next)
			next = now + RETRY_NS;
	}
	for (uint32_t i = 0; unlikely(rt->vacant) && i < rt->base.servers; i++) {
		uint64_t when = look_at_vacant(rt, &rt->servers[i], shortest, IDLE_SLICES);

		next = when < next ? when : next;
	}
	/* Servers that are idle now may not be so soon, and would have to wake us. */
	if (shortest != NEVER && now - rt->timer_busy < IDLE_SLICES * shortest && now + shortest < next)
		next = now + shortest;
	return next;
}

static void sleep_until(struct runtime *rt, uint32_t word, uint64_t when)
{
	struct timespec until = {
		.tv_sec = (time_t)(when / 1000000000), .tv_nsec = (long)(when % 1000000000),
	};

	syscall(SYS_futex, &rt->timer_word, FUTEX_WAIT_BITSET_PRIVATE, word,
		when == NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Servers are told to leave by a thread that may wake them. */
static void dismiss(struct runtime *rt)
{
	for (uint32_t i = 0; i < rt->base.servers; i++)
		wake_server(rt, &rt->servers[i]);
	unlock(rt);
	if (rt->dispatcher.made)
		umcg_wake(rt->dispatcher.task, false);
	lock(rt);
}

void *timer_body(void *actor)
{
	struct actor *self = actor;
	struct runtime *rt = self->rt;

	if (actor_begin(self, true))
		return NULL;
	lock(rt);
	if (sigsetjmp(self->env, 0))
		recover(self);
	while (!rt->closing) {
		uint64_t when = look(rt);
		uint32_t word = atomic_load(&rt->timer_word);

		rt->timer_at = when;
		unlock(rt);
		sleep_until(rt, word, when);
		lock(rt);
	}
	dismiss(rt);
	unlock(rt);
	actor_resign(self);
	return NULL;
}

/* Under lock: the scheduler closes. */
void timer_close(struct runtime *rt)
{
	rt->closing = true;
	timer_wake(rt);
}
