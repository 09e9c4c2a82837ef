// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * reserve: a tenant has so many CPUs for its urgent work (cpus0=2,cpus1=1; urgent
 * is a priority above 0). All else is best effort, first come, first served, in
 * turns of slice_us, on what is left and on reserved CPUs that are not wanted; it
 * gives way at once when urgent work has a CPU to claim. With refuse=N best effort
 * is refused when so many wait already (umcg_drop()). This is the database of the
 * UMCG documentation.
 *
 * Good for a promise to tenants: their urgent work is served at once, whatever the
 * others do. Fails when promises are larger than needs: urgent work beyond its
 * tenant's CPUs waits with the best effort; and best effort may get nothing at all.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct reserve_tenant {
	struct umcg_list urgent;
	uint64_t runs;			/* its urgent threads on reserved CPUs */
};

struct reserve {
	uint64_t slice_us, refuse, cpus[UMCG_TENANTS];
	uint32_t tenants;		/* those after have no CPUs */
	uint32_t turn;			/* the tenant that is looked at first */
	struct umcg_list rest, refused;
	struct reserve_tenant tenant[UMCG_TENANTS];
};

struct reserve_thread {
	struct umcg_link link;
	bool reserved;			/* runs on a CPU of its tenant's */
};

static const struct umcg_option reserve_options[] = {
	UMCG_OPTION(struct reserve, slice_us, "turn among best effort, in microseconds",
		    10000, 1, 1000000000),
	UMCG_OPTION(struct reserve, refuse, "refuse best effort while so many wait; 0: never",
		    0, 0, 1000000000),
	{
		.name = "cpus",
		.help = "cpusN=COUNT: CPUs for tenant N's urgent work",
		.max = 1024,
		.offset = offsetof(struct reserve, cpus),
		.count = UMCG_TENANTS,
	},
	{ .name = NULL }
};

static int reserve_init(struct umcg_sched *s)
{
	struct reserve *reserve = umcg_sched_data(s);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < UMCG_TENANTS; i++) {
		sum += reserve->cpus[i];
		if (reserve->cpus[i])
			reserve->tenants = i + 1;
	}
	if (sum <= s->servers)
		return 0;
	umcg_error(s, "%llu CPUs are reserved, and there are %u servers", (unsigned long long)sum,
		   s->servers);
	return -1;
}

static bool reserve_is_urgent(const struct reserve *reserve, const struct umcg_sched_thread *t)
{
	return t->priority > 0 && reserve->cpus[t->tenant];
}

static void reserve_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct reserve *reserve = umcg_sched_data(s);
	struct reserve_thread *mine = umcg_thread_data(t);
	bool fresh = why == UMCG_WHY_NEW || why == UMCG_WHY_WOKEN;

	if (reserve_is_urgent(reserve, t)) {
		umcg_list_put(&reserve->tenant[t->tenant].urgent, &mine->link);
	} else if (fresh && reserve->refuse && reserve->rest.length >= reserve->refuse) {
		umcg_drop(t);
		umcg_list_put(&reserve->refused, &mine->link);
	} else if (why == UMCG_WHY_PREEMPTED) {
		umcg_list_put_first(&reserve->rest, &mine->link);
	} else {
		umcg_list_put(&reserve->rest, &mine->link);
	}
}

/* A tenant with urgent work; @reserved: and a CPU for it. Each in turn. */
static struct umcg_list *reserve_urgent(struct reserve *reserve, bool reserved)
{
	for (uint32_t i = 0; i < reserve->tenants; i++) {
		uint32_t index = (reserve->turn + i) % reserve->tenants;
		struct reserve_tenant *tenant = &reserve->tenant[index];

		if (!tenant->urgent.first || (reserved && tenant->runs >= reserve->cpus[index]))
			continue;
		if (reserved) {
			reserve->turn = index + 1;
			tenant->runs++;
		}
		return &tenant->urgent;
	}
	return NULL;
}

static struct umcg_sched_thread *reserve_next(struct umcg_sched *s, uint32_t server)
{
	struct reserve *reserve = umcg_sched_data(s);
	struct umcg_list *list = reserve_urgent(reserve, true);
	struct umcg_sched_thread *t, *first;
	bool reserved = list;

	(void)server;
	if (!list)
		list = reserve->refused.first ? &reserve->refused : reserve_urgent(reserve, false);
	/* Urgent work beyond its CPUs is best effort, and takes its turn there. */
	t = list ? umcg_thread_of(list->first) : NULL;
	first = umcg_thread_of(reserve->rest.first);
	if (!t || (!reserved && list != &reserve->refused && first && first->ready_ns <= t->ready_ns))
		list = &reserve->rest;
	t = umcg_thread_of(umcg_list_get(list));
	if (t)
		((struct reserve_thread *)umcg_thread_data(t))->reserved = reserved;
	return t;
}

static void reserve_stopped(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why,
			    uint64_t ran_ns)
{
	struct reserve *reserve = umcg_sched_data(s);
	struct reserve_thread *mine = umcg_thread_data(t);

	(void)why;
	(void)ran_ns;
	if (mine->reserved)
		reserve->tenant[t->tenant].runs--;
	mine->reserved = false;
}

static uint64_t reserve_slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	const struct reserve *reserve = umcg_sched_data(s);
	const struct reserve_thread *mine = umcg_thread_data(t);

	return mine->reserved ? 0 : reserve->slice_us * 1000;
}

static bool reserve_before(struct umcg_sched *s, const struct umcg_sched_thread *a,
			   const struct umcg_sched_thread *b)
{
	const struct reserve *reserve = umcg_sched_data(s);
	const struct reserve_thread *one = umcg_thread_data(a), *other = umcg_thread_data(b);

	if (other->reserved || one->reserved)
		return one->reserved && !other->reserved;
	return reserve_is_urgent(reserve, a) &&
	       reserve->tenant[a->tenant].runs < reserve->cpus[a->tenant];
}

static void reserve_dump(struct umcg_sched *s)
{
	const struct reserve *reserve = umcg_sched_data(s);

	umcg_print(s, "best effort: %u wait, %u refused\n", reserve->rest.length, reserve->refused.length);
	for (uint32_t i = 0; i < reserve->tenants; i++)
		if (reserve->cpus[i])
			umcg_print(s, "tenant %u: %llu of %llu CPUs taken, %u urgent wait\n", i,
				   (unsigned long long)reserve->tenant[i].runs,
				   (unsigned long long)reserve->cpus[i],
				   reserve->tenant[i].urgent.length);
}

UMCG_POLICY(reserve,
	.summary = "CPUs reserved for each tenant's urgent work, the rest is best effort; "
		   "urgent work beyond its CPUs waits like the rest, which may get nothing",
	.flags = UMCG_MAY_STARVE,
	.sched_size = sizeof(struct reserve),
	.thread_size = sizeof(struct reserve_thread),
	.options = reserve_options,
	.init = reserve_init,
	.ready = reserve_ready,
	.next = reserve_next,
	.stopped = reserve_stopped,
	.slice = reserve_slice,
	.before = reserve_before,
	.dump = reserve_dump
);
