// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A policy of one's own: it serves no thread, but has options. */
#include <umcg-policy.h>

struct mine {
	uint64_t first, cpus[4];
};

static const struct umcg_option options[] = {
	{ .name = "first", .help = "a choice", .choices = "yes|no", .max = 1 },
	{ .name = "cpus", .help = "numbers", .max = 64, .offset = offsetof(struct mine, cpus),
	  .count = 4 },
	{ .name = NULL }
};

static void ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	(void)s;
	(void)t;
	(void)why;
}

static struct umcg_sched_thread *next(struct umcg_sched *s, uint32_t server)
{
	(void)s;
	(void)server;
	return NULL;
}

UMCG_POLICY(mine, .summary = "no thread is served", .sched_size = sizeof(struct mine),
	    .options = options, .ready = ready, .next = next);
