// SPDX-License-Identifier: MIT
/*
 * The user-space half of the contract. The task that starts a transition changes the
 * state with one compare-and-swap, then makes the system call that ends it.
 */
#include <stddef.h>
#include <time.h>

#include "libraw.h"

/* --- the state word --- */

const char *state_name(uint32_t state, char *buf, size_t size)
{
	static const char * const names[] = { "NONE", "RUNNING", "IDLE", "BLOCKED" };
	uint32_t s = state & UMCG_TASK_STATE_MASK;

	snprintf(buf, size, "%s%s%s%s (0x%x)", s < 4 ? names[s] : "?",
		 state & LOCKED ? "|LOCKED" : "", state & PREEMPTED ? "|PREEMPTED" : "",
		 state & FREE ? "|FREE" : "", state);
	return buf;
}

uint32_t state_of(const struct umcg_task *t)
{
	return __atomic_load_n(&t->state_ts, __ATOMIC_SEQ_CST) & UMCG_TASK_STATE_MASK_FULL;
}

#define STAMP_SHIFT	(64 - UMCG_STATE_TIMESTAMP_BITS)

/* The 46 bits wrap after 13 days, so only differences mean anything. */
static int64_t units_between(uint64_t a, uint64_t b)
{
	return (int64_t)((a - b) << STAMP_SHIFT) >> STAMP_SHIFT;
}

int64_t stamp_since(uint64_t word, uint64_t t_ns)
{
	return units_between(word >> STAMP_SHIFT, t_ns >> UMCG_STATE_TIMESTAMP_GRANULARITY);
}

/* Two successive values always differ, and never go back in time. */
static uint64_t stamped(uint64_t old, uint32_t state)
{
	uint64_t ts = now_ns(CLOCK_MONOTONIC) >> UMCG_STATE_TIMESTAMP_GRANULARITY;

	if (old && units_between(ts, old >> STAMP_SHIFT) <= 0)
		ts = (old >> STAMP_SHIFT) + 1;
	return ts << STAMP_SHIFT | state;
}

void rec_init(struct umcg_task *t, uint32_t state)
{
	memset(t, 0, sizeof(*t));
	t->state_ts = stamped(0, state);
}

bool word_cas(struct umcg_task *t, uint64_t old, uint32_t to)
{
	__u64 expected = old;

	return __atomic_compare_exchange_n(&t->state_ts, &expected, stamped(old, to), false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool state_cas(struct umcg_task *t, uint32_t from, uint32_t to)
{
	uint64_t old = __atomic_load_n(&t->state_ts, __ATOMIC_SEQ_CST);

	return (old & UMCG_TASK_STATE_MASK_FULL) == from && word_cas(t, old, to);
}

void state_set(struct umcg_task *t, uint32_t from, uint32_t to)
{
	char a[64], b[64], c[64];

	if (!state_cas(t, from, to))
		FAIL("transition %s -> %s found %s", state_name(from, a, sizeof(a)),
		     state_name(to, b, sizeof(b)), state_name(state_of(t), c, sizeof(c)));
}

static void set_next(struct umcg_task *t, pid_t tid)
{
	__atomic_store_n(&t->next_tid, tid, __ATOMIC_SEQ_CST);
}

/* --- basic tasks --- */

void basic_register(struct umcg_task *self)
{
	rec_init(self, RUNNING);
	CHECK_EQ(sys_ctl(REGISTER, self), 0);
}

void basic_wait(struct umcg_task *self)
{
	set_next(self, 0);
	while (state_of(self) != RUNNING)
		CHECK_EQ(sys_wait(0, 0), 0);
}

bool basic_wake(struct umcg_task *self, struct umcg_task *t, pid_t tid)
{
	if (!state_cas(t, IDLE, RUNNING) && !state_cas(t, IDLE | FREE, RUNNING))
		return false;
	set_next(self, tid);
	CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
	set_next(self, 0);
	return true;
}

void basic_switch(struct umcg_task *self, struct umcg_task *t, pid_t tid)
{
	state_set(self, RUNNING, IDLE);
	state_set(t, IDLE, RUNNING);
	set_next(self, tid);
	CHECK_EQ(sys_wait(0, 0), 0);
	CHECK_STATE(self, RUNNING);
	set_next(self, 0);
}

/* --- servers --- */

void server_register(struct server *s, struct pool *p)
{
	int i = 0;

	memset(s, 0, sizeof(*s));
	s->pool = p;
	s->tid = gettid();
	while (p->servers[i])
		i++;
	p->servers[i] = s;
	basic_register(&s->rec);
}

void server_unregister(struct server *s)
{
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
	CHECK_STATE(&s->rec, RUNNING);
}

/*
 * Waits a little for another thread to get on. Asleep, not in sched_yield():
 * that thread may have a lower priority and only this CPU.
 */
static void relax(void)
{
	nap(1000);
}

void server_push(struct server *s, struct worker *w)
{
	w->next = NULL;
	if (s->first)
		s->last->next = w;
	else
		s->first = w;
	s->last = w;
}

/* Takes the whole idle list; it is newest first, the queue is oldest first. */
static void collect(struct server *s)
{
	uint64_t node = __atomic_exchange_n(&s->pool->head, 0, __ATOMIC_SEQ_CST);
	struct worker *w, *oldest = NULL;

	while (node) {
		uint64_t link;

		w = (struct worker *)(node - offsetof(struct worker, rec.idle_workers_ptr));
		/* The pusher stores the link after the exchange of the head. */
		while ((link = __atomic_load_n(&w->rec.idle_workers_ptr, __ATOMIC_SEQ_CST)) ==
		       UMCG_IDLE_NODE_PENDING)
			relax();
		/* Disown it before it looks unlisted: see gave_back(). */
		__atomic_store_n(&w->server, NULL, __ATOMIC_SEQ_CST);
		__atomic_store_n(&w->rec.idle_workers_ptr, (uint64_t)&w->pool->head,
				 __ATOMIC_SEQ_CST);
		CHECK_EQ(state_of(&w->rec) & UMCG_TASK_STATE_MASK, IDLE);
		w->next = oldest;
		oldest = w;
		node = link;
	}
	while (oldest) {
		w = oldest;
		oldest = w->next;
		server_push(s, w);
	}
}

struct worker *server_poll(struct server *s)
{
	struct worker *w;

	if (!s->first)
		collect(s);
	w = s->first;
	if (w)
		s->first = w->next;
	return w;
}

static bool slot_cas(struct pool *p, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&p->idle_server, &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/*
 * Order that must hold: IDLE|FREE, then the slot, then a last look at the list. A
 * worker pushes itself before it looks at the slot, so one of the two sees the
 * other. On the way back: RUNNING first, so that a late wake changes nothing.
 * Where another server has the slot, look again every 5 ms.
 */
struct worker *server_next(struct server *s)
{
	struct pool *p = s->pool;
	struct worker *w;

	while (!(w = server_poll(s))) {
		bool mine;
		int r = 0;

		if (!__atomic_load_n(&p->live, __ATOMIC_SEQ_CST))
			return NULL;
		set_next(&s->rec, 0);
		state_set(&s->rec, RUNNING, IDLE | FREE);
		mine = slot_cas(p, 0, s->tid);
		if (!__atomic_load_n(&p->head, __ATOMIC_SEQ_CST) &&
		    __atomic_load_n(&p->live, __ATOMIC_SEQ_CST))
			r = sys_wait(mine ? 0 : MONOTONIC,
				     mine ? 0 : now_ns(CLOCK_MONOTONIC) + 5 * NS_PER_MS);
		CHECK(r == 0 || r == -EINTR || (!mine && r == -ETIMEDOUT));
		state_cas(&s->rec, IDLE | FREE, RUNNING);
		CHECK_STATE(&s->rec, RUNNING);
		slot_cas(p, s->tid, 0);
	}
	return w;
}

struct worker *server_expect(struct server *s, struct worker *w)
{
	struct worker *got = server_next(s);

	if (got != w)
		FAIL("the idle list gave worker %d, expected %d", got ? got->tid : 0, w->tid);
	return w;
}

void server_wait(struct server *s)
{
	while (state_of(&s->rec) != RUNNING) {
		int r = sys_wait(0, 0);

		/* Whom it was to switch to has come by itself, ended meanwhile, and told it. */
		CHECK(r == 0 || r == -EINTR || (r == -ESRCH && state_of(&s->rec) == RUNNING));
		set_next(&s->rec, 0);
	}
	set_next(&s->rec, 0);
}

/* A worker on its way into umcg_wait() is LOCKED until it sleeps. */
void worker_claim(struct worker *w)
{
	for (;;) {
		uint32_t st = state_of(&w->rec);

		CHECK_EQ(st & UMCG_TASK_STATE_MASK, IDLE);
		if (st & LOCKED)
			relax();
		else if (state_cas(&w->rec, st, RUNNING | LOCKED))
			return;
	}
}

static void lend(struct server *s, struct worker *w)
{
	w->server = s;
	s->current = w;
	set_next(&w->rec, s->tid);
	set_next(&s->rec, w->tid);
}

static void start_claimed(struct server *s, struct worker *w)
{
	state_set(&s->rec, RUNNING, IDLE);
	lend(s, w);
	state_set(&w->rec, RUNNING | LOCKED, RUNNING);
}

void server_start_run(struct server *s, struct worker *w)
{
	worker_claim(w);
	start_claimed(s, w);
}

void server_run_claimed(struct server *s, struct worker *w)
{
	start_claimed(s, w);
	server_wait(s);
}

uint32_t server_run(struct server *s, struct worker *w)
{
	server_start_run(s, w);
	server_wait(s);
	return state_of(&s->current->rec);
}

/*
 * Did @w, whose run by @s is over, give its place back (true), or did it block
 * (false)? A worker that blocked may be idle again, and even be run by another
 * server, by now. It marks its node before it becomes IDLE, and what takes it
 * from the list disowns it before the node looks unlisted; so read the state
 * first, then the node, then the owner.
 */
static bool gave_back(struct server *s, struct worker *w, uint32_t *state)
{
	*state = state_of(&w->rec) & ~LOCKED;
	if ((*state & UMCG_TASK_STATE_MASK) == NONE)
		*state = NONE;
	if ((*state & UMCG_TASK_STATE_MASK) == IDLE && worker_on_list(w))
		return false;
	if (__atomic_load_n(&w->server, __ATOMIC_SEQ_CST) != s)
		return false;
	return (*state & UMCG_TASK_STATE_MASK) == IDLE ||
	       (*state & UMCG_TASK_STATE_MASK) == NONE;
}

uint32_t server_run_through(struct server *s, struct worker *w)
{
	uint32_t st;

	while (server_run(s, w), !gave_back(s, w, &st))
		server_expect(s, w);
	return st;
}

bool server_step(struct server *s)
{
	struct worker *w = server_next(s);
	uint32_t st;

	if (!w)
		return false;
	server_run(s, w);
	w = s->current;
	if (!gave_back(s, w, &st)) {
		s->blocks++;
	} else if (st == NONE) {
		s->ends++;
		__atomic_sub_fetch(&s->pool->live, 1, __ATOMIC_SEQ_CST);
	} else {
		if (st & PREEMPTED)
			s->preempts++;
		else
			s->yields++;
		/* A worker marked PARKED waits for another task. */
		if (!(st & PARKED))
			server_push(s, w);
	}
	return true;
}

void server_loop(struct server *s)
{
	while (server_step(s))
		;
	/* No task will push again: let the server in the slot see that. */
	for (int i = 0; i < 8; i++) {
		struct server *o = s->pool->servers[i];

		if (o && slot_cas(s->pool, o->tid, 0))
			basic_wake(&s->rec, &o->rec, o->tid);
	}
}

/* --- workers --- */

uint32_t worker_options = KEEP_PREEMPTED;

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_SEQ_CST);
	w->ctl = sys_ctl(REGISTER | WORKER | worker_options, &w->rec);
	if (w->ctl)
		FAIL("worker registration returned %d", w->ctl);
	w->fn(w);
	return NULL;	/* the kernel ends the registration and frees the server */
}

void worker_start(struct worker *w, struct pool *p, void (*fn)(struct worker *), void *arg)
{
	memset(w, 0, sizeof(*w));
	rec_init(&w->rec, BLOCKED);
	w->rec.idle_workers_ptr = (uint64_t)&p->head;
	w->rec.idle_server_tid_ptr = (uint64_t)&p->idle_server;
	w->pool = p;
	w->fn = fn;
	w->arg = arg;
	__atomic_add_fetch(&p->live, 1, __ATOMIC_SEQ_CST);
	w->thread = spawn(worker_main, w);
}

void worker_join(struct worker *w)
{
	join(w->thread);
}

bool worker_on_list(const struct worker *w)
{
	return __atomic_load_n(&w->rec.idle_workers_ptr, __ATOMIC_SEQ_CST) !=
	       (uint64_t)&w->pool->head;
}

/* RUNNING, perhaps with a preemption mark that we obey here ourselves. */
static void give_up(struct worker *w)
{
	while (!state_cas(&w->rec, RUNNING, IDLE | LOCKED) &&
	       !state_cas(&w->rec, RUNNING | PREEMPTED, IDLE | LOCKED))
		CHECK_EQ(state_of(&w->rec) & UMCG_TASK_STATE_MASK, RUNNING);
}

/*
 * Sleep, and be seen to. On a busy host a short sleep is over before it begins:
 * then no task has noticed, and the word is the same.
 */
void worker_nap(struct worker *w)
{
	uint64_t word = w->rec.state_ts;

	while (__atomic_load_n(&w->rec.state_ts, __ATOMIC_SEQ_CST) == word)
		nap(NS_PER_MS);
}

void worker_yield(struct worker *w)
{
	give_up(w);
	/* IDLE|LOCKED: no task runs us, so the server cannot change any more. */
	set_next(&w->rec, w->server->tid);
	state_set(&w->server->rec, IDLE, RUNNING);
	CHECK_EQ(sys_wait(0, 0), 0);
}

void worker_swap(struct worker *w, struct worker *to)
{
	worker_claim(to);
	give_up(w);
	lend(w->server, to);
	set_next(&w->rec, to->tid);
	state_set(&to->rec, RUNNING | LOCKED, RUNNING);
	CHECK_EQ(sys_wait(0, 0), 0);
}

bool worker_swap_next(struct worker *w)
{
	struct server *s;
	struct worker *to;

	give_up(w);
	/*
	 * IDLE|LOCKED: the hooks keep out and the server sleeps until a worker
	 * of its wakes it, so its queue is ours.
	 */
	s = w->server;
	to = s->first;
	if (!to) {
		state_set(&w->rec, IDLE | LOCKED, RUNNING);
		return false;
	}
	s->first = to->next;
	worker_claim(to);
	server_push(s, w);
	lend(s, to);
	set_next(&w->rec, to->tid);
	state_set(&to->rec, RUNNING | LOCKED, RUNNING);
	CHECK_EQ(sys_wait(0, 0), 0);
	return true;
}

int worker_park(struct worker *w, struct worker **where, uint64_t abs_timeout)
{
	struct server *s;

	give_up(w);
	/* Once others know of us we may be unparked, and belong to another server. */
	s = w->server;
	set_next(&w->rec, s->tid);
	state_set(&w->rec, IDLE | LOCKED, IDLE | LOCKED | PARKED);
	if (where)
		__atomic_store_n(where, w, __ATOMIC_SEQ_CST);
	state_set(&s->rec, IDLE, RUNNING);
	return sys_wait(abs_timeout ? MONOTONIC : 0, abs_timeout);
}

/*
 * @s was in the slot and we have taken it out, so it is ours to wake if it sleeps
 * for work, even if it has got up and lain down again since; not if it runs a
 * worker.
 */
static bool take_from_search(struct server *s)
{
	uint64_t word;

	do {
		word = __atomic_load_n(&s->rec.state_ts, __ATOMIC_SEQ_CST);
		if ((word & UMCG_TASK_STATE_MASK_FULL) != (IDLE | FREE))
			return false;
	} while (!word_cas(&s->rec, word, RUNNING));
	return true;
}

void worker_unpark(struct umcg_task *self, struct worker *w)
{
	struct pool *p = w->pool;
	uint64_t node = (uint64_t)&w->rec.idle_workers_ptr, old;
	uint32_t tid;

	__atomic_store_n(&w->rec.idle_workers_ptr, UMCG_IDLE_NODE_PENDING, __ATOMIC_SEQ_CST);
	old = __atomic_exchange_n(&p->head, node, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->rec.idle_workers_ptr, old, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 8 && p->servers[i]; i++) {
		tid = p->servers[i]->tid;
		if (slot_cas(p, tid, 0)) {
			if (take_from_search(p->servers[i])) {
				set_next(self, tid);
				CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
			}
			return;
		}
	}
}

bool worker_mark(struct worker *w)
{
	return state_cas(&w->rec, RUNNING, RUNNING | PREEMPTED);
}
