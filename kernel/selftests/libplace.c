// SPDX-License-Identifier: MIT
#include <sched.h>
#include <stddef.h>

#include "libplace.h"

static uint64_t *node(struct tenant *t)
{
	return (uint64_t *)&t->rec.idle_workers_ptr;
}

void seat_register(struct seat *s, struct places *p, int nr)
{
	s->places = p;
	s->nr = nr;
	s->tid = gettid();
	rec_init(&s->rec, RUNNING);
	s->rec.idle_workers_ptr = (uintptr_t)&p->head;
	s->rec.idle_server_tid_ptr = (uintptr_t)&p->slots[nr];
	CHECK_EQ(sys_ctl(REGISTER, &s->rec), 0);
}

/* The slot is emptied by its server alone when that is up: it may be there from before. */
static void leave_slot(struct seat *s)
{
	__atomic_store_n(&s->places->slots[s->nr], 0, __ATOMIC_SEQ_CST);
}

static bool is_up(struct seat *s)
{
	return (state_of(&s->rec) & UMCG_TASK_STATE_MASK) == RUNNING;
}

struct tenant *seat_take(struct seat *s)
{
	uint64_t next = __atomic_exchange_n(&s->places->head, 0, __ATOMIC_SEQ_CST);
	struct tenant *t, *sorted = NULL;

	while (next) {
		t = (struct tenant *)(next - offsetof(struct tenant, rec.idle_workers_ptr));
		while ((next = __atomic_load_n(node(t), __ATOMIC_ACQUIRE)) ==
		       UMCG_IDLE_NODE_PENDING)
			sched_yield();
		t->rec.idle_workers_ptr = (uintptr_t)&s->places->head;
		t->next = sorted;
		sorted = t;
	}
	if (s->first)
		s->last->next = sorted;
	else
		s->first = sorted;
	for (t = sorted; t; t = t->next)
		s->last = t;
	t = s->first;
	if (t)
		s->first = t->next;
	return t;
}

void seat_sleep(struct seat *s)
{
	struct places *p = s->places;
	uint64_t word;

	s->rec.next_tid = 0;
	state_set(&s->rec, RUNNING, IDLE | FREE | p->permission);
	__atomic_store_n(&p->slots[s->nr], s->tid, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&p->head, __ATOMIC_SEQ_CST) || p->stop) {
		/* It is ours, unless a task has given our place away. */
		do {
			word = __atomic_load_n(&s->rec.state_ts, __ATOMIC_SEQ_CST);
		} while ((word & FREE) && !word_cas(&s->rec, word, RUNNING));
	}
	while (!is_up(s))
		CHECK_EQ(sys_wait(0, 0), 0);
	leave_slot(s);
}

void seat_run(struct seat *s, struct tenant *t)
{
	uint64_t word;

	s->rec.tenant_tid = t->tid;
	state_set(&s->rec, RUNNING, IDLE | (s->first ? 0 : s->places->permission));
	/* One that yields is on the list before it sleeps. */
	while (((word = __atomic_load_n(&t->rec.state_ts, __ATOMIC_SEQ_CST)) & LOCKED) ||
	       !word_cas(&t->rec, word, RUNNING | LOCKED))
		sched_yield();
	t->rec.next_tid = s->tid;
	s->rec.next_tid = t->tid;
	state_set(&t->rec, RUNNING | LOCKED, RUNNING);
	CHECK_EQ(sys_wait(0, 0), 0);
	s->rec.next_tid = 0;
	while (!is_up(s))
		CHECK_EQ(sys_wait(0, 0), 0);
	leave_slot(s);
	s->told++;
}

void seat_serve(struct seat *s)
{
	struct tenant *t;

	while (!s->places->stop) {
		t = seat_take(s);
		if (t)
			seat_run(s, t);
		else
			seat_sleep(s);
	}
	CHECK_EQ(sys_ctl(UNREGISTER, NULL), 0);
}

static void *seat_body(void *arg)
{
	struct seat *s = arg;

	if (s->cpu >= 0)
		pin(0, s->cpu);
	seat_register(s, s->places, s->nr);
	seat_serve(s);
	return NULL;
}

pthread_t seat_start(struct seat *s, struct places *p, int nr, int cpu)
{
	s->places = p;
	s->nr = nr;
	s->cpu = cpu;
	return spawn(seat_body, s);
}

static void *tenant_body(void *arg)
{
	struct tenant *t = arg;

	if (t->cpu >= 0)
		pin(0, t->cpu);
	t->tid = gettid();
	rec_init(&t->rec, BLOCKED);
	t->rec.idle_workers_ptr = (uintptr_t)&t->places->head;
	t->rec.idle_server_tid_ptr = (uintptr_t)t->places->slots;
	t->rec.flags = t->places->servers - 1;
	t->rec.rank = t->rank;
	CHECK_EQ(sys_ctl(REGISTER | WORKER, &t->rec), 0);
	t->fn(t);
	return NULL;
}

void tenant_start(struct tenant *t, struct places *p, void (*fn)(struct tenant *t))
{
	t->places = p;
	t->fn = fn;
	t->thread = spawn(tenant_body, t);
}

static void list(struct tenant *t)
{
	uint64_t head = __atomic_load_n(&t->places->head, __ATOMIC_SEQ_CST);

	do {
		__atomic_store_n(node(t), head, __ATOMIC_SEQ_CST);
	} while (!__atomic_compare_exchange_n(&t->places->head, &head, (uintptr_t)node(t), false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

void tenant_yield(struct tenant *t, struct seat *seats)
{
	uint64_t word;
	struct seat *s;
	int nr = 0;

	/* LOCKED: no task moves us to another place meanwhile. */
	do {
		word = __atomic_load_n(&t->rec.state_ts, __ATOMIC_SEQ_CST);
	} while (!word_cas(&t->rec, word, IDLE | LOCKED));
	while (seats[nr].tid != (pid_t)t->rec.next_tid)
		CHECK(++nr < t->places->servers);
	s = &seats[nr];
	list(t);
	do {
		word = __atomic_load_n(&s->rec.state_ts, __ATOMIC_SEQ_CST);
		/* Its place is ours until we give it back. */
		CHECK((word & (UMCG_TASK_STATE_MASK | FREE)) == IDLE);
	} while (!word_cas(&s->rec, word, RUNNING));
	CHECK_EQ(sys_wait(0, 0), 0);
}

bool tenant_blocked(struct tenant *t)
{
	return t->rec.next_tid && state_of(&t->rec) == BLOCKED && asleep(t->tid);
}

bool tenant_preempt(struct tenant *t)
{
	uint64_t word = __atomic_load_n(&t->rec.state_ts, __ATOMIC_SEQ_CST);

	if ((word & UMCG_TASK_STATE_MASK_FULL) != RUNNING ||
	    !word_cas(&t->rec, word, RUNNING | PREEMPTED))
		return false;
	return !sys_kick(0, t->tid);
}

void places_stop(struct places *p, struct seat *seats, struct umcg_task *self)
{
	uint64_t word;

	p->stop = true;
	for (int nr = 0; nr < p->servers; nr++) {
		word = __atomic_load_n(&seats[nr].rec.state_ts, __ATOMIC_SEQ_CST);
		while (word & FREE) {
			if (word_cas(&seats[nr].rec, word, RUNNING)) {
				self->next_tid = seats[nr].tid;
				CHECK_EQ(sys_wait(WAKE_ONLY, 0), 0);
				break;
			}
			word = __atomic_load_n(&seats[nr].rec.state_ts, __ATOMIC_SEQ_CST);
		}
	}
}
