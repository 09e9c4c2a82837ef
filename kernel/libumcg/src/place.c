// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Places that pass on: UMCG_GROUP_PASS_ON, the kernel's UMCG_TF_ADOPT.
 *
 * A server that runs a worker permits, in its own word, that its place passes on:
 * IDLE|ADOPT. While the list is empty a block makes it IDLE|ADOPT|FREE instead of
 * RUNNING, and the next worker that comes back takes it. The server sleeps on, in
 * umcg_run_worker(). What the library sees to:
 *
 * - Each server has a slot of its own for its tid, one of 16 in a cache line, where
 *   the kernel finds and puts it. It is there while it sleeps for work, and may be
 *   left there when it does not any more: only its word says whether it does. We do
 *   not look there: any word that says FREE may be claimed, whatever else has
 *   happened, so who brings work goes through the servers' words.
 * - The lost wake-up: FREE is stored before work is looked for, and work published
 *   before words are looked at; both are locked instructions.
 * - The kernel knows of no queue but the list. While the group has workers elsewhere,
 *   a node stands on the list for them (idle.c); while a server has some in its
 *   hands, nobody gives the permission.
 * - Who has the place of a server says rec.tenant_tid, and whose place a worker has
 *   its rec.next_tid. Both are what the kernel knows, thread ids.
 * - In a group with ranks the kernel also gives a place that is lent to a worker of
 *   better rank (UMCG_TF_RANK). The one that had it is BLOCKED, and comes back like any
 *   other, so for us nothing is new.
 * - In umcg_get_idle_worker() no permission is given: there is nobody who could be
 *   told afterwards what became of a worker. umcg_offer_place() is for that: the place
 *   is FREE from the beginning, and the server is told who had it last.
 */
#include "idle.h"

/* Server @t, which has its tid, gets a number and so a slot. False: there is none left. */
bool umcg_take_seat(struct umcg_group *g, struct umcg_thread *t)
{
	struct umcg_thread *none = NULL;
	uint32_t places, i = 0;

	while (!__atomic_compare_exchange_n(&g->seats[i], &none, t, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED)) {
		none = NULL;
		if (++i == UMCG_MAX_SLOTS)
			return false;
	}
	store(&t->seat, (uint8_t)(i + 1));
	places = load(&g->places);
	while (places <= i &&
	       !__atomic_compare_exchange_n(&g->places, &places, i + 1, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
	return true;
}

/* @t has ended, or leaves. The slot first: then it may be another one's. */
void umcg_leave_seat(struct umcg_group *g, struct umcg_thread *t)
{
	uint8_t seat = load(&t->seat);

	store(&t->seat, 0);
	store(&g->slots[seat - 1], 0);
	store_release(&g->seats[seat - 1], NULL);
}

/*
 * Wake a server that sleeps for work, if there is one. By now it may even be another
 * thread's task, which then looks for work in vain. The caller is LOCKED if it is a
 * worker.
 */
void umcg_wake_free(struct umcg_thread *self, struct umcg_group *g)
{
	struct umcg_thread *t;
	pid_t sleeper;
	uint64_t s;
	uint32_t i;

	for (i = 0; i < load(&g->places); i++) {
		t = load_acquire(&g->seats[i]);
		s = t ? __atomic_load_n(&t->rec.state_ts, __ATOMIC_SEQ_CST) : RUNNING;
		while (unlikely(s & FREE)) {
			sleeper = load(&t->tid);
			umcg_step_begins(self);
			if (umcg_change(t, &s, umcg_awake(s), umcg_get_time_ns())) {
				umcg_sys_wake(self, sleeper, false);
				umcg_step_ends(self);
				return;
			}
			umcg_step_ends(self);
		}
	}
}

/* Worker @w is, is not in the hands of a server: taken off the list, or preempted. */
void umcg_set_held(struct umcg_group *g, struct umcg_thread *w, bool held)
{
	if (__atomic_exchange_n(&w->held, held, __ATOMIC_RELAXED) != held)
		__atomic_fetch_add(&g->held, held ? 1 : -1, __ATOMIC_SEQ_CST);
}

/*
 * The calling server, RUNNING, lends its place to @w. It may pass on unless a worker
 * is in the hands of a server, which then has to look at it again, or a wake-up is
 * queued, whose sender wants it told.
 */
void umcg_lend_place(struct umcg_thread *self, struct umcg_thread *w, uint64_t now)
{
	struct umcg_group *g = self->group;
	uint64_t s, flags;

	umcg_set_held(g, w, false);
	store(&w->server, NULL);
	store(&self->rec.tenant_tid, (uint32_t)load(&w->tid));
	self->passes = load(&self->rec.passes);
	/* The word first: who takes a worker and recalls the place changes it after that. */
	s = load_acquire(&self->rec.state_ts);
	do {
		flags = s & QUEUED ? IDLE | QUEUED : load(&g->held) > 0 ? IDLE : umcg_lends(g);
	} while (!umcg_change(self, &s, flags, now));
}

/*
 * The calling server lends or offers its place and wants it back. True: nobody had it,
 * and the server is RUNNING. Else who has it keeps it, but the next block tells us.
 */
bool umcg_want_place(struct umcg_thread *self)
{
	uint64_t s = load_acquire(&self->rec.state_ts);

	while ((s & STATE) == IDLE && (s & (FREE | ADOPT))) {
		if (s & FREE) {
			if (umcg_change(self, &s, umcg_awake(s), umcg_get_time_ns()))
				return true;
		} else if (umcg_mark(self, &s, s & FLAGS & ~ADOPT)) {
			return false;
		}
	}
	return (s & STATE) == RUNNING;
}

/*
 * The calling server has its place back. Returns who had it last, or UMCG_NONE if that
 * worker has left from here. If it has left from elsewhere since it blocked here nobody
 * knows its name any more; then it is the one that was run, which has blocked, too, or nobody.
 */
umcg_tid umcg_last_tenant(struct umcg_thread *self)
{
	pid_t tid = (pid_t)load(&self->rec.tenant_tid);
	struct umcg_thread *w;

	/* Put there without us; who finds it there by chance finds us awake. */
	store(&self->group->slots[self->seat - 1], 0);
	if (!tid)
		return UMCG_NONE;
	w = umcg_by_tid(tid);
	return w && load(&w->group) == self->group ? load(&w->utid) : load(&self->worker);
}

/*
 * The calling worker waits, LOCKED, and has the place of @server, which would do
 * nothing but run the next one. So we do: returns who has the place now, to be switched
 * to, or NULL. We wait for nobody here, neither for the lock nor for a worker that
 * is on its way to sleep.
 */
struct umcg_thread *umcg_hand_over(struct umcg_thread *self, struct umcg_thread *server,
				   uint64_t now)
{
	uint64_t s = load(&server->rec.state_ts);
	struct umcg_group *g = self->group;
	bool again, work, done = false;
	struct umcg_thread *w;

	/* Does it want to be told? Is there anybody? What is elsewhere stands on the list. */
	if ((s & (STATE | ADOPT | FREE)) != (IDLE | ADOPT) ||
	    !__atomic_load_n(&g->head, __ATOMIC_SEQ_CST) || !umcg_try_lock_group(self, g))
		return NULL;
	umcg_step_begins(self);
	w = umcg_next_ready(g, &again);
	umcg_stand_in(g);
	work = w && umcg_has_work(g);
	umcg_unlock_group(self, g);
	if (!w) {
		umcg_step_ends(self);
		return NULL;
	}
	/* Nobody else takes one that was on the list; it only may have a wake-up queued. */
	s = load_acquire(&w->rec.state_ts);
	while (!done && (s & (STATE | LOCKED)) == IDLE)
		done = umcg_change(w, &s, RUNNING | LOCKED | (s & QUEUED), now);
	if (likely(done)) {
		store_release(&w->rec.idle_workers_ptr, (uint64_t)(uintptr_t)&g->head);
		umcg_trace(w, UMCG_TRACE_POP, s & FLAGS, s & FLAGS, self->tid, s);
		umcg_trace(w, UMCG_TRACE_RUN, s & FLAGS, RUNNING | (s & QUEUED),
			   load(&server->tid), 0);
		umcg_give_place(server, w, (uint32_t)load(&w->tid), NULL);
		umcg_clear(w, LOCKED);
	} else {
		umcg_push_idle(g, w);
	}
	if (work)
		umcg_wake_free(self, g);
	umcg_step_ends(self);
	return done ? w : NULL;
}

/*
 * Who has the place of server @t, as its word @s says, or NULL. One that has just blocked
 * has it no more, and one that is just taking it not yet.
 */
static struct umcg_thread *tenant_of(struct umcg_thread *t, uint64_t s, uint64_t *word)
{
	struct umcg_thread *w;

	if ((s & (STATE | FREE)) != IDLE || load(&t->mode) != MODE_RUN)
		return NULL;
	w = load(&t->seat) ? umcg_by_tid((pid_t)load(&t->rec.tenant_tid)) :
			     umcg_find(load(&t->worker));
	*word = w ? load_acquire(&w->rec.state_ts) : NONE;
	return (*word & STATE) == RUNNING && (pid_t)load(&w->rec.next_tid) == load(&t->tid) ? w : NULL;
}

/* Server @server, or NULL with errno set. */
static struct umcg_thread *find_server(umcg_tid server)
{
	struct umcg_thread *t = umcg_find(server);

	if (t && load_acquire(&t->kind) == KIND_SERVER)
		return t;
	errno = t ? EINVAL : ESRCH;
	return NULL;
}

EXPORT umcg_tid umcg_get_tenant(umcg_tid server)
{
	struct umcg_thread *t, *w;
	uint64_t word;

	errno = 0;
	t = find_server(server);
	w = t ? tenant_of(t, load_acquire(&t->rec.state_ts), &word) : NULL;
	return w ? load(&w->utid) : UMCG_NONE;
}

/* The time that state word @s says, which is not far from @now_ns. */
static uint64_t time_of(uint64_t s, uint64_t now_ns)
{
	uint64_t stamp = umcg_stamp_of(s) << UMCG_STATE_TIMESTAMP_GRANULARITY;
	uint64_t range = 1ULL << (UMCG_STATE_TIMESTAMP_BITS + UMCG_STATE_TIMESTAMP_GRANULARITY);
	uint64_t ago = (now_ns - stamp) % range;

	/* A stamp that was bumped may be ahead of the clock. */
	return ago > range / 2 || ago > now_ns ? now_ns : now_ns - ago;
}

EXPORT int umcg_get_place(umcg_tid server, struct umcg_place *place)
{
	struct umcg_thread *t = find_server(server), *w;
	uint64_t s, word = NONE;

	if (!t)
		return -1;
	/*
	 * Nothing has happened in between if the word is the same after as before. (Acquired, so that
	 * the second look is the later one: ThreadSanitizer knows of no fences.)
	 */
	do {
		s = load_acquire(&t->rec.state_ts);
		w = tenant_of(t, s, &word);
		place->passes = load_acquire(&t->rec.passes);
		place->tenant = w ? load_acquire(&w->utid) : UMCG_NONE;
	} while (load(&t->rec.state_ts) != s);

	place->since_ns = time_of(w ? word : s, umcg_get_time_ns());
	if (w)
		place->state = UMCG_PLACE_LENT;
	else if ((s & STATE) != IDLE || load(&t->mode) != MODE_RUN)
		place->state = UMCG_PLACE_OWN;
	else
		place->state = s & FREE ? UMCG_PLACE_FREE : UMCG_PLACE_BETWEEN;
	return 0;
}

/*
 * A server that is about to lend its place has perhaps not seen yet what we want it back
 * for: with another word it looks again.
 */
EXPORT int umcg_recall_place(umcg_tid server)
{
	struct umcg_thread *self = umcg_caller(), *t;
	bool locked, runs;
	int found = 0;
	pid_t tid;
	uint64_t s;

	if (!self)
		return umcg_fail_caller();
	if (umcg_must_not_wait(self, load(&self->rec.state_ts)))
		return umcg_fail(EAGAIN);
	t = find_server(server);
	if (!t)
		return -1;
	umcg_step_begins(self);
	locked = umcg_lock_self(self);
	s = load_acquire(&t->rec.state_ts);
	for (;;) {
		if ((s & (STATE | ADOPT | FREE)) == (IDLE | ADOPT | FREE)) {
			tid = load(&t->tid);
			if (!umcg_change(t, &s, umcg_awake(s), umcg_get_time_ns()))
				continue;
			umcg_sys_wake(self, tid, false);
			found = 1;
			break;
		}
		/* Told of the next block, or it sleeps for work. */
		runs = (s & STATE) == RUNNING;
		if (!runs && !(s & ADOPT))
			break;
		if (umcg_mark(t, &s, s & FLAGS & ~ADOPT)) {
			found = runs ? 2 : 0;
			break;
		}
	}
	umcg_unlock_self(self, locked);
	umcg_step_ends(self);
	return found;
}
