// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Memory of the threads, and what programs set in it without a lock. */
#include <string.h>

#include "internal.h"

__thread struct thread *umcg_sched_self;

/*
 * Nothing of the thread that had the slot before is left. Programs may be about to read or to set
 * what is in it, as they found that one there; see read_slot().
 */
static void clear(struct runtime *rt, struct thread *t)
{
	typedef uint64_t __attribute__((may_alias)) word;
	word *words = (word *)(void *)t;

	_Static_assert(sizeof(*t) % sizeof(*words) == 0, "whole words");
	for (size_t i = 0; i < sizeof(*t) / sizeof(*words); i++)
		__atomic_store_n(&words[i], 0, __ATOMIC_RELEASE);
	memset(&t->pub + 1, 0, rt->stride - sizeof(*t));
}

/* Under lock. NULL: there are as many as there may be. The caller fills it. */
struct thread *slot_get(struct runtime *rt)
{
	struct thread *t;
	uint64_t turn;
	uint32_t index;

	if (rt->free_slot) {
		index = rt->free_slot - 1;
		t = slot_at(rt, index);
		rt->free_slot = t->next_free;
	} else if (rt->used_slots < rt->nr_slots) {
		index = rt->used_slots;
		store(&rt->used_slots, index + 1);
		t = slot_at(rt, index);
	} else {
		return NULL;
	}
	turn = t->turn;
	clear(rt, t);
	t->rt = rt;
	t->turn = turn + 1;
	t->pub.id = index;
	store(&t->pub.seq, rt->seq++);
	t->pub.server = UMCG_NO_SERVER;
	store(&t->stats.id, index);
	count(&rt->base.threads, 1);
	if (rt->base.threads > rt->stats.most_threads)
		store(&rt->stats.most_threads, rt->base.threads);
	return t;
}

/* Under lock. Its thread has gone. */
void slot_put(struct runtime *rt, struct thread *t)
{
	__atomic_store_n(&t->task, UMCG_NONE, __ATOMIC_RELEASE);
	store(&t->pub.state, UMCG_SCHED_NONE);
	t->next_free = rt->free_slot;
	rt->free_slot = t->pub.id + 1;
	count(&rt->base.threads, -1U);
}

/* Under lock, while @t is not READY: what programs have set reaches the policy. */
void grant_wishes(struct thread *t)
{
	uint32_t changed = atomic_fetch_and_explicit(&t->wishes.changed, ~WISH_ALL, memory_order_acquire);
	struct umcg_sched_thread *pub = &t->pub;

	if (changed & WISH_DEADLINE)
		pub->deadline_ns = atomic_load_explicit(&t->wishes.deadline_ns, memory_order_relaxed);
	if (changed & WISH_EXPECTED)
		pub->expected_ns = atomic_load_explicit(&t->wishes.expected_ns, memory_order_relaxed);
	if (changed & WISH_WEIGHT)
		pub->weight = atomic_load_explicit(&t->wishes.weight, memory_order_relaxed);
	if (changed & WISH_PRIORITY)
		pub->priority = atomic_load_explicit(&t->wishes.priority, memory_order_relaxed);
	if (changed & WISH_TENANT)
		pub->tenant = atomic_load_explicit(&t->wishes.tenant, memory_order_relaxed);
	if (changed & WISH_KLASS)
		store(&pub->klass, atomic_load_explicit(&t->wishes.klass, memory_order_relaxed));
}

/*
 * Under lock. @t has said since it was last asked that a request began; that was in
 * the last @ran ns of its turn, or before them. Asked before it can block: what it
 * waits for is no service.
 */
void begin_noted(struct thread *t, uint64_t ran)
{
	uint64_t begin, since;

	if (!(atomic_fetch_and_explicit(&t->wishes.changed, ~WISH_REQUEST, memory_order_acquire) & WISH_REQUEST))
		return;
	begin = atomic_load_explicit(&t->wishes.request_ns, memory_order_relaxed);
	since = t->rt->base.now_ns > begin ? t->rt->base.now_ns - begin : 0;
	t->pub.request_ns = begin;
	t->pub.request_service_ns = since < ran ? since : ran;
	t->pub.flags &= (uint8_t)~UMCG_THREAD_DROPPED;
}

/* All schedulers there are: a task's tag may be anything, until it is known to be ours. */
#define RUNTIMES	64U
static _Atomic(struct runtime *) runtimes[RUNTIMES];

int slots_open(struct runtime *rt)
{
	for (uint32_t i = 0; i < RUNTIMES; i++) {
		struct runtime *none = NULL;

		if (atomic_compare_exchange_strong(&runtimes[i], &none, rt))
			return 0;
	}
	errno = EAGAIN;
	return -1;
}

void slots_close(struct runtime *rt)
{
	for (uint32_t i = 0; i < RUNTIMES; i++) {
		struct runtime *mine = rt;

		atomic_compare_exchange_strong(&runtimes[i], &mine, NULL);
	}
}

static bool is_ours(uintptr_t tag)
{
	for (uint32_t i = 0; i < RUNTIMES; i++) {
		struct runtime *rt = atomic_load(&runtimes[i]);
		uintptr_t offset = rt ? tag - (uintptr_t)rt->slots : UINTPTR_MAX;

		if (rt && offset < rt->nr_slots * rt->stride && !(offset % rt->stride))
			return true;
	}
	return false;
}

/* The thread that @task names and that is scheduled, or NULL with errno. */
static struct thread *find(umcg_tid task)
{
	struct thread *t = umcg_sched_self;
	intptr_t tag;

	if (t && t->task == task)
		return t;
	tag = umcg_get_task_tag(task);
	t = is_ours((uintptr_t)tag) ? (struct thread *)tag : NULL;
	/* Its server may not have seen yet that it has left. */
	if (t && __atomic_load_n(&t->task, __ATOMIC_ACQUIRE) == task &&
	    umcg_get_task_state(task) != UMCG_TASK_NONE)
		return t;
	errno = ESRCH;
	return NULL;
}

static int wish(struct thread *t, uint32_t what)
{
	atomic_fetch_or_explicit(&t->wishes.changed, what, memory_order_release);
	return 0;
}

#define SETTER(name, field, type, is_good, what)				\
EXPORT int umcg_sched_set_##name(umcg_tid task, type value)			\
{										\
	struct thread *t = find(task);						\
										\
	if (!t)									\
		return -1;							\
	if (!(is_good)) {							\
		errno = EINVAL;							\
		return -1;							\
	}									\
	atomic_store_explicit(&t->wishes.field, value, memory_order_relaxed);	\
	return wish(t, what);							\
}

SETTER(deadline, deadline_ns, uint64_t, true, WISH_DEADLINE)
SETTER(expected, expected_ns, uint64_t, true, WISH_EXPECTED)
SETTER(weight, weight, uint32_t, value && value <= UMCG_WEIGHT_MAX, WISH_WEIGHT)
SETTER(priority, priority, int32_t, true, WISH_PRIORITY)
SETTER(tenant, tenant, uint16_t, value < UMCG_TENANTS, WISH_TENANT)
SETTER(klass, klass, uint16_t, true, WISH_KLASS)

EXPORT int umcg_sched_begin_request(void)
{
	struct thread *t = umcg_sched_self;

	if (!t) {
		errno = EINVAL;
		return -1;
	}
	atomic_store_explicit(&t->dropped, false, memory_order_relaxed);
	atomic_store_explicit(&t->wishes.request_ns, umcg_get_time_ns(), memory_order_relaxed);
	return wish(t, WISH_REQUEST);
}

EXPORT bool umcg_sched_dropped(void)
{
	struct thread *t = umcg_sched_self;

	return t && atomic_load_explicit(&t->dropped, memory_order_relaxed);
}
