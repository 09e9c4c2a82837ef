/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What each thread is: the rules of a file of classes. Nothing here allocates or waits. */
#ifndef UMCG_RUN_RULES_H
#define UMCG_RUN_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULES		64
#define RULE_TEXT	64

struct range {
	int64_t low, high;
};

/* What is not given matches everything; of the results, what is not given is as without. */
struct rule {
	int line;
	bool has_weight;
	char name[RULE_TEXT], entry[RULE_TEXT];	/* patterns with * and ?; "": any */
	struct range nice, order;
	uint16_t klass, tenant;
	int32_t priority;
	uint32_t weight;
	uint64_t deadline_us;			/* from a request's or the thread's beginning; 0: none */
};

struct rules {
	int count;
	struct rule rule[RULES];
};

/* What a thread is known by. */
struct subject {
	const char *name, *entry;
	int nice;
	uint32_t order;
};

/* Read @text. 0, or the number of the line that is wrong, with a sentence in @why. */
int rules_read(struct rules *rules, const char *text, char *why, size_t size);
/* The first that matches, or NULL. */
const struct rule *rules_find(const struct rules *rules, const struct subject *subject);

#endif /* UMCG_RUN_RULES_H */
