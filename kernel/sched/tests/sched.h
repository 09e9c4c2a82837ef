/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the tests of the scheduler share, beside libumcg's util.h. */
#ifndef SCHED_H
#define SCHED_H

#include <umcg-sched.h>

#include "util.h"

/* With places that pass on if the test says so, and the policy permits it. */
static inline struct umcg_sched *sched_open(const char *policy, uint32_t servers)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .policy = policy, .servers = servers,
		.flags = test_passes_on() ? UMCG_SCHED_PASS_ON : 0,
	};
	char why[UMCG_SENTENCE];
	struct umcg_sched *s = umcg_sched_create(&config, why);

	if (!s && config.flags && strstr(why, "does not permit")) {
		config.flags = 0;
		s = umcg_sched_create(&config, why);
	}
	CHECK(s, "%s: %s", policy, why);
	return s;
}

static inline void sched_close(struct umcg_sched *s)
{
	CHECK_CALL(umcg_sched_stop(s), 0);
	CHECK_CALL(umcg_sched_destroy(s), 0);
}

#endif /* SCHED_H */
