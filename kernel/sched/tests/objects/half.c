// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A policy that forgot next(). */
#include <umcg-policy.h>

static void ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	(void)s;
	(void)t;
	(void)why;
}

UMCG_POLICY(half, .summary = "half", .ready = ready);
