// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Places that pass on: UMCG_SCHED_PASS_ON, libumcg's UMCG_GROUP_PASS_ON.
 *
 * A server that runs a thread while no other is ready is not told when that blocks: its
 * place goes to the next thread that comes back. The policy has nothing to choose then,
 * as it has no thread; that the one that comes back may have the place at once is what
 * it says with UMCG_MAY_PASS_ON. What must hold:
 *
 * - While the policy has a thread that is ready, no place passes on. libumcg lends none
 *   in that way while workers are in our hands, and those that are lent already are
 *   recalled as soon as something stays ready: pass_on(), at the end of whatever made it
 *   so. A server whose place nobody had is woken by that, and looks.
 * - What we believe of a server that is @lent may be old: the thread that running[]
 *   names may have blocked, and others may have had the place since. Whoever is about to
 *   decide by it, or takes threads off the idle list, asks libumcg first: catch_up().
 *   After that the policy has been told of the last thread there, not of those in between.
 * - @vacant: by what we know nobody has the place of that server, which sleeps, or is about
 *   to, until somebody recalls it or brings work. Who is told that it runs already takes it for
 *   one that will look.
 * - Slices need the timer to look now and then, as it is not told when a thread takes a
 *   vacant place. Where nothing has happened for some slices it recalls the place, and
 *   the server sleeps for work as any other, until it has run a thread.
 * - A server that finds nothing to run offers its place, vacant from the beginning. Else
 *   who comes back on its CPU, where it has no place, would have to go to the idle list,
 *   and while anything is there no place passes on: of a crowd that is woken on two CPUs,
 *   all would be told.
 *
 * Service. How long a thread ran in turns that nobody saw its CPU time tells, which is
 * asked for, by a system call, only if places have passed on since the thread was seen.
 */
#include "internal.h"

void passing_enter(struct thread *t)
{
	store(&t->cpu_ns, cpu_time_of(t->tid));
}

uint64_t unseen_ns(const struct thread *t)
{
	uint64_t used = cpu_time_of(load(&t->tid)) - load(&t->cpu_ns), seen = load(&t->pub.service_ns);

	return (int64_t)(used - seen) > 0 ? used - seen : 0;
}

/* What @t has run unseen, without the @present ns of a turn that goes on, is service, too. */
static void charge(struct runtime *rt, struct thread *t, uint64_t present)
{
	uint64_t ran = unseen_ns(t);

	ran = ran > present ? ran - present : 0;
	count(&t->pub.service_ns, ran);
	t->pub.request_service_ns += ran;
	count(&rt->stats.ran_ns, ran);
	t->seen_passes = rt->stats.passes;
}

void charge_unseen(struct runtime *rt, struct thread *t)
{
	if (t->seen_passes != rt->stats.passes)
		charge(rt, t, 0);
}

/* The thread of ours that is, or was, @task with tag @tag; NULL: it is another's by now. */
static struct thread *known(struct runtime *rt, umcg_tid task, intptr_t tag)
{
	struct thread *t = (struct thread *)tag;

	return task != UMCG_NONE && is_slot(rt, t) && t->task == task ? t : NULL;
}

/* The thread that has the place of @server, by what we know; NULL: none. */
static struct thread *seated_on(struct runtime *rt, const struct server *server)
{
	struct umcg_sched_thread *pub = rt->base.running[server->index];

	return pub ? thread_of(pub) : NULL;
}

/* As far as anybody can see it sleeps for want of work from now on. */
static void be_vacant(struct runtime *rt, struct server *server)
{
	if (server->vacant)
		return;
	rt->vacant++;
	server->vacant = true;
	note_sleep(server);
}

static void vacate(struct runtime *rt, struct server *server, const struct umcg_place *place)
{
	be_vacant(rt, server);
	server->since_ns = place->since_ns;
	server->between = place->state == UMCG_PLACE_BETWEEN;
	/* Soon it is somebody's. */
	if (server->between)
		timer_notice(rt, rt->base.now_ns + RETRY_NS);
}

static void occupy(struct runtime *rt, struct server *server)
{
	if (!server->vacant)
		return;
	rt->vacant--;
	server->vacant = false;
	note_wake(server);
}

static void note_passes(struct runtime *rt, struct server *server, uint32_t passes)
{
	uint32_t more = passes - server->passes;

	if (!more)
		return;
	server->passes = passes;
	count(&rt->stats.passes, more);
	emit(rt, UMCG_SCHED_EVENT_PASS, NULL, server->index, 0, more);
}

static void settle(struct runtime *rt, struct server *server);

/* The turn that @t has by what we know has ended untold. */
static void end_unseen(struct runtime *rt, struct thread *t)
{
	bool waits = umcg_get_task_state(t->task) & UMCG_UTF_WORKER_IN_WAIT;

	end_turns(rt, t, waits ? UMCG_WHY_WAITING : UMCG_WHY_BLOCKED, unseen_ns(t));
}

void lose_turn(struct runtime *rt, struct thread *t)
{
	struct server *server = &rt->servers[t->pub.server];

	end_unseen(rt, t);
	settle(rt, server);
}

/*
 * @t has had the place of @server since @since. False: it turns out to have come back elsewhere
 * meanwhile.
 */
static bool begin_unseen(struct runtime *rt, struct server *server, struct thread *t, uint64_t since)
{
	uint32_t asked = atomic_load_explicit(&server->asked, memory_order_relaxed);

	if (t->pub.state == UMCG_SCHED_RUNNING)
		lose_turn(rt, t);
	if (t->pub.state == UMCG_SCHED_RUNNING)
		return false;
	if (t->pub.state == UMCG_SCHED_NONE)
		t->pub.request_ns = since;
	if (atomic_load_explicit(&t->wishes.changed, memory_order_relaxed)) {
		grant_wishes(t);
		begin_noted(t, 0);
	}
	occupy(rt, server);
	charge(rt, t, rt->base.now_ns > since ? rt->base.now_ns - since : 0);
	emit(rt, UMCG_SCHED_EVENT_READY, t, t->pub.server, UMCG_WHY_WOKEN, 0);
	take_seat(rt, server, t, since);
	/* Who wanted the turn before this one to end wants the place. */
	if (!asked)
		return true;
	atomic_store_explicit(&server->asked, asked, memory_order_relaxed);
	server->retry = true;
	timer_notice(rt, rt->base.now_ns + RETRY_NS);
	return true;
}

/* Is all as we know, with @t on @server and @w in its place? */
static bool as_known(const struct server *server, const struct umcg_place *place, const struct thread *t,
		     const struct thread *w)
{
	/* Told already, or not yet lent: it will say itself what it finds. */
	if (place->state == UMCG_PLACE_OWN)
		return true;
	if (place->state == UMCG_PLACE_BETWEEN)
		return t || server->vacant;
	return w == t && place->passes == server->passes && (t || server->vacant);
}

/* What has become of the place of @server since we looked last? */
static void settle(struct runtime *rt, struct server *server)
{
	struct thread *t = seated_on(rt, server), *w;
	struct umcg_place place;

	if (!server->lent || umcg_get_place(server->actor.task, &place))
		return;
	w = place.state == UMCG_PLACE_LENT ? known(rt, place.tenant, umcg_get_task_tag(place.tenant)) : NULL;
	if (as_known(server, &place, t, w))
		return;
	note_passes(rt, server, place.passes);
	if (t)
		end_unseen(rt, t);
	/* If it is not here any more the next look says what is. */
	if (!w || w->pub.state == UMCG_SCHED_READY || !begin_unseen(rt, server, w, place.since_ns))
		vacate(rt, server, &place);
}

void catch_up_places(struct runtime *rt)
{
	for (uint32_t i = 0; i < rt->base.servers; i++)
		settle(rt, &rt->servers[i]);
}

/*
 * Under lock. A wake-up that came while @self was awake has nothing more to say to it. Queued, it would
 * be there until the next sleep, which on a busy server never comes; and libumcg
 * lets no place pass on whose server a wake-up is queued for.
 */
static void take_wakeup(struct server *self)
{
	if (self->sleep != WOKEN || !(umcg_get_task_state(self->actor.task) & UMCG_UTF_WAKEUP_QUEUED))
		return;
	umcg_wait(0);	/* only takes it */
	self->sleep = AWAKE;
}

/* @self is about to lend its place: under the lock for the last time before that. */
static void lend(struct server *self)
{
	take_wakeup(self);
	self->lent = true;
	self->recalled = false;
}

/* The same, to a thread. */
void lend_place(struct server *self)
{
	lend(self);
	self->idles = false;
}

/*
 * Under lock, which is not held meanwhile. @self has nothing to run: who comes back may have
 * its place. False: it does not offer it, as threads are ready that the policy keeps back, or
 * as nothing has happened here for long.
 */
bool offer_place(struct server *self)
{
	struct runtime *rt = self->actor.rt;
	umcg_tid back;
	bool woken;
	int error;

	if (self->idles || rt->base.ready || self->sleep != AWAKE)
		return false;
	lend(self);
	be_vacant(rt, self);
	self->since_ns = rt->base.now_ns;
	self->between = false;
	/* Who wanted its last turn to end has nothing against the next. */
	atomic_store_explicit(&self->asked, 0, memory_order_relaxed);
	/* It looks at what is vacant in time, whatever it was up for. */
	if (self->slice_ns)
		timer_notice(rt, rt->base.now_ns + self->slice_ns);
	unlock(rt);
	back = umcg_offer_place();
	error = errno;
	lock(rt);
	tick(rt, umcg_get_time_ns());
	self->lent = false;
	/* If a wake-up was promised it has ended the call, or is queued. */
	woken = self->sleep == WOKEN;
	take_wakeup(self);
	self->sleep = AWAKE;
	take_back(self, back, error);
	/* While a thread is just being run elsewhere it sleeps as one that offers nothing. */
	return woken || back != UMCG_NONE || error != EBUSY;
}

/* @server has to be told of the next block, or has to look now if nobody has its place. */
void recall(struct runtime *rt, struct server *server)
{
	struct thread *t;
	int found;

	if (!server->lent || server->recalled)
		return;
	found = umcg_recall_place(server->actor.task);
	/* One that has not lent it yet looks whether threads are ready, and none may be by then. */
	server->recalled = found != 2;
	/* Who is about to offer it, or is on its way back, will look: it finds a wake-up, too. */
	if (found == 2 && server->vacant) {
		occupy(rt, server);
		if (server->sleep == AWAKE) {
			server->sleep = WOKEN;
			umcg_try_wake(server->actor.task, false);
		}
	}
	if (found != 1) {
		settle(rt, server);
		return;
	}
	t = seated_on(rt, server);
	if (t)
		end_unseen(rt, t);
	occupy(rt, server);
}

void recall_all(struct runtime *rt)
{
	for (uint32_t i = 0; i < rt->base.servers; i++)
		recall(rt, &rt->servers[i]);
}

/* A place that is vacant for so long is no use. When to look again; NEVER. */
uint64_t look_at_vacant(struct runtime *rt, struct server *server, uint64_t slice, uint64_t slices)
{
	uint64_t now = rt->base.now_ns;

	if (server->vacant && server->between)
		return now + RETRY_NS;
	if (!server->vacant || slice == NEVER)
		return NEVER;
	if (now < server->since_ns + slices * slice)
		return now + slice;
	recall(rt, server);
	/* Somebody is just taking it, or has taken it: what was noticed of that here wakes no timer. */
	if (server->vacant)
		return now + slice;
	server->idles = !rt->base.running[server->index];
	return server->slice_end;
}

/*
 * The calling server has its place back from @back, from one that has left (UMCG_NONE, and no
 * @error), which perhaps is another than we know of, or from nobody who is there.
 */
void take_back(struct server *self, umcg_tid back, int error)
{
	struct runtime *rt = self->actor.rt;
	struct thread *t = seated_on(rt, self), *last;
	uint32_t passes = umcg_get_passes(self->actor.task);
	bool unseen = passes != self->passes;
	umcg_tid left = UMCG_NONE;
	enum umcg_why why;
	intptr_t tag = 0;

	occupy(rt, self);
	note_passes(rt, self, passes);
	if (back == UMCG_NONE && !error)
		left = umcg_get_left(&tag);
	last = back == UMCG_NONE ? known(rt, left, tag) : known(rt, back, umcg_get_task_tag(back));
	if (t && t != last)
		end_unseen(rt, t);
	if (!last)
		return;
	why = back == UMCG_NONE ? UMCG_WHY_ENDED : why_back(self, last, back);
	if (t != last) {
		/* It has blocked since, and been seen elsewhere, or will be. */
		if (why == UMCG_WHY_BLOCKED || why == UMCG_WHY_WAITING || last->pub.state == UMCG_SCHED_READY)
			return;
		if (!begin_unseen(rt, self, last, rt->base.now_ns))
			return;
	}
	if (unseen || t != last)
		end_turns(rt, last, why, unseen_ns(last));
	else
		end_turn(rt, last, why);
}
