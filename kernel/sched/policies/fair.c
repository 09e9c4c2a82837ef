// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * fair: shares by weight. Each tenant has a virtual time that runs the slower the
 * more weight it has (tenant3=2048; 1024 if not given), each thread one within its
 * tenant, by its own weight; the tenant that is furthest behind goes first, of its
 * threads the one that is. The twin of CFS with one level of groups. A thread that
 * slept begins where the others are: time in which it did not want to run is not
 * made up for. It takes the place of a thread that is ahead of it by slice_us.
 *
 * Good for tenants that do not trust each other: each gets at least its share
 * while it wants it. Fails at latency: work that is short but comes seldom waits
 * for a slice like any other, and each slice costs a switch.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct fair_tenant {
	struct umcg_node node;		/* among tenants with ready threads */
	struct umcg_heap threads;
	uint64_t time, floor;		/* virtual ns: its own; that of its last thread chosen */
};

struct fair {
	uint64_t slice_us, weight[UMCG_TENANTS];
	uint64_t floor;			/* of the last tenant chosen */
	struct umcg_heap tenants;
	struct fair_tenant tenant[UMCG_TENANTS];
};

struct fair_thread {
	struct umcg_node node;
	uint64_t time;			/* virtual ns */
};

static const struct umcg_option fair_options[] = {
	UMCG_OPTION(struct fair, slice_us, "turn in microseconds", 3000, 1, 1000000000),
	{
		.name = "tenant",
		.help = "tenantN=WEIGHT: its weight against other tenants",
		.otherwise = UMCG_WEIGHT_NORMAL,
		.min = 1,
		.max = UMCG_WEIGHT_MAX,
		.offset = offsetof(struct fair, weight),
		.count = UMCG_TENANTS,
	},
	{ .name = NULL }
};

static uint64_t fair_virtual(uint64_t ns, uint64_t weight)
{
	return ns * UMCG_WEIGHT_NORMAL / weight;
}

static void fair_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct fair *fair = umcg_sched_data(s);
	struct fair_tenant *tenant = &fair->tenant[t->tenant];
	struct fair_thread *mine = umcg_thread_data(t);

	(void)why;
	if (!tenant->threads.root) {
		if (tenant->time < fair->floor)
			tenant->time = fair->floor;
		umcg_heap_put(&fair->tenants, &tenant->node, tenant->time);
	}
	if (mine->time < tenant->floor)
		mine->time = tenant->floor;
	umcg_heap_put(&tenant->threads, &mine->node, mine->time);
}

static struct umcg_sched_thread *fair_next(struct umcg_sched *s, uint32_t server)
{
	struct fair *fair = umcg_sched_data(s);
	/* The node is the first thing in a tenant. */
	struct fair_tenant *tenant = (struct fair_tenant *)(void *)fair->tenants.root;
	struct umcg_node *node;

	(void)server;
	if (!tenant)
		return NULL;
	node = umcg_heap_get(&tenant->threads);
	tenant->floor = node->key;
	fair->floor = tenant->node.key;
	if (!tenant->threads.root)
		umcg_heap_remove(&fair->tenants, &tenant->node);
	return umcg_thread_of(node);
}

static void fair_stopped(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why,
			 uint64_t ran_ns)
{
	struct fair *fair = umcg_sched_data(s);
	struct fair_tenant *tenant = &fair->tenant[t->tenant];
	struct fair_thread *mine = umcg_thread_data(t);

	(void)why;
	mine->time += fair_virtual(ran_ns, t->weight);
	tenant->time += fair_virtual(ran_ns, fair->weight[t->tenant]);
	if (tenant->threads.root) {
		umcg_heap_remove(&fair->tenants, &tenant->node);
		umcg_heap_put(&fair->tenants, &tenant->node, tenant->time);
	}
}

static uint64_t fair_slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	const struct fair *fair = umcg_sched_data(s);

	(void)t;
	return fair->slice_us * 1000;
}

/* Is @a behind @b by a slice at least, as tenant or, of one tenant, as thread? */
static bool fair_before(struct umcg_sched *s, const struct umcg_sched_thread *a,
			const struct umcg_sched_thread *b)
{
	const struct fair *fair = umcg_sched_data(s);
	const struct fair_thread *one = umcg_thread_data(a), *other = umcg_thread_data(b);
	uint64_t mine, its, slice = fair->slice_us * 1000;

	if (a->tenant == b->tenant) {
		mine = one->time + fair_virtual(umcg_turn_ns(s, a), a->weight);
		its = other->time + fair_virtual(umcg_turn_ns(s, b), b->weight);
	} else {
		mine = fair->tenant[a->tenant].time +
		       fair_virtual(umcg_turn_ns(s, a), fair->weight[a->tenant]);
		its = fair->tenant[b->tenant].time +
		      fair_virtual(umcg_turn_ns(s, b), fair->weight[b->tenant]);
	}
	return mine + slice <= its;
}

static void fair_dump(struct umcg_sched *s)
{
	const struct fair *fair = umcg_sched_data(s);

	for (uint32_t i = 0; i < UMCG_TENANTS; i++) {
		const struct fair_tenant *tenant = &fair->tenant[i];

		if (tenant->threads.root)
			umcg_print(s, "tenant %u at %llu us, weight %llu: %u ready, first %u\n", i,
				   (unsigned long long)tenant->time / 1000,
				   (unsigned long long)fair->weight[i], tenant->threads.length,
				   umcg_thread_of(tenant->threads.root)->id);
	}
}

UMCG_POLICY(fair,
	.summary = "shares by the weights of tenants and threads; "
		   "each gets at least its share, but short work waits like any other",
	.flags = UMCG_MAY_STARVE | UMCG_MAY_PASS_ON,
	.sched_size = sizeof(struct fair),
	.thread_size = sizeof(struct fair_thread),
	.options = fair_options,
	.ready = fair_ready,
	.next = fair_next,
	.stopped = fair_stopped,
	.slice = fair_slice,
	.before = fair_before,
	.dump = fair_dump
);
