// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a thread is to the policy: by the rules, and by its nice value where they say
 * nothing of its weight. Looked up when it begins, and again when its name or its nice
 * value changes.
 */
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "preload.h"

/* The kernel's own: a step of nice is a tenth of the CPU between two. */
static uint32_t weight_of(int nice)
{
	static const uint32_t weights[40] = {
		88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
		9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
		1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
		110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
	};

	return weights[nice < -20 ? 0 : nice > 19 ? 39 : nice + 20];
}

static void decide(struct run_record *r)
{
	const struct subject subject = {
		.name = r->name, .entry = r->entry, .nice = r->nice, .order = r->order,
	};
	const struct rule *rule = rules_find(&settings.rules, &subject);
	struct umcg_sched_attr *attr = &r->attr;

	r->rule = rule ? rule->line : 0;
	attr->weight = rule && rule->has_weight ? rule->weight : weight_of(r->nice);
	attr->klass = rule ? rule->klass : 0;
	attr->tenant = rule ? rule->tenant : 0;
	attr->priority = rule ? rule->priority : 0;
	r->deadline_us = rule ? rule->deadline_us : 0;
	attr->deadline_ns = r->deadline_us ? umcg_get_time_ns() + r->deadline_us * 1000 : 0;
}

/* By the thread itself, before it is scheduled. */
void class_begin(struct run_record *r)
{
	real_functions()->prctl(PR_GET_NAME, (unsigned long)r->name, 0UL, 0UL, 0UL);
	r->nice = getpriority(PRIO_PROCESS, 0);
	decide(r);
}

void class_renew(struct run_record *r)
{
	struct umcg_sched_attr old = r->attr, *now = &r->attr;

	decide(r);
	if (!r->scheduled)
		return;
	if (now->weight != old.weight)
		umcg_sched_set_weight(r->task, now->weight);
	if (now->klass != old.klass)
		umcg_sched_set_klass(r->task, now->klass);
	if (now->tenant != old.tenant)
		umcg_sched_set_tenant(r->task, now->tenant);
	if (now->priority != old.priority)
		umcg_sched_set_priority(r->task, now->priority);
	if (now->deadline_ns && !old.deadline_ns)
		umcg_sched_set_deadline(r->task, now->deadline_ns);
}
