// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The rules, in the part of TOML that they need: comments, tables [[class]], and in
 * them KEY = INTEGER or KEY = "STRING". It is read in the program's process, too,
 * where no library for all of TOML is to be had.
 */
#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <umcg-policy.h>

#include "rules.h"

/* One line, and what may be said of it. */
struct reader {
	const char *at;
	char *why;
	size_t size;
};

#define WRONG(r, ...) (snprintf((r)->why, (r)->size, __VA_ARGS__), -1)

static void skip_blanks(struct reader *r)
{
	while (*r->at == ' ' || *r->at == '\t' || *r->at == '\r')
		r->at++;
}

static bool is_over(struct reader *r)
{
	skip_blanks(r);
	return !*r->at || *r->at == '\n' || *r->at == '#';
}

static int read_string(struct reader *r, const char *key, char *value)
{
	char quote = *r->at;
	size_t n = 0;

	if (quote != '"' && quote != '\'')
		return WRONG(r, "%s needs a text in quotes, like \"io-*\"", key);
	for (r->at++; *r->at != quote; r->at++) {
		if (!*r->at || *r->at == '\n')
			return WRONG(r, "the quote after %s is not closed", key);
		if (*r->at == '\\' && quote == '"')
			return WRONG(r, "there are no escapes here: put the text in '...'");
		if (n == RULE_TEXT - 1)
			return WRONG(r, "%s is longer than %d bytes", key, RULE_TEXT - 1);
		value[n++] = *r->at;
	}
	r->at++;
	value[n] = 0;
	return n ? 0 : WRONG(r, "%s is empty; leave it out to match any", key);
}

static int read_number(struct reader *r, const char *key, int64_t low, int64_t high, int64_t *value)
{
	char *end;

	*value = strtoll(r->at, &end, 10);
	if (end == r->at || (*r->at != '-' && !isdigit((unsigned char)*r->at)))
		return WRONG(r, "%s needs a whole number", key);
	if (*value < low || *value > high)
		return WRONG(r, "%s is %lld to %lld", key, (long long)low, (long long)high);
	r->at = end;
	return 0;
}

/* 5, or "5..9". */
static int read_range(struct reader *r, const char *key, int64_t low, int64_t high, struct range *range)
{
	char quote = *r->at;
	bool quoted = quote == '"' || quote == '\'';

	r->at += quoted;
	if (read_number(r, key, low, high, &range->low))
		return -1;
	range->high = range->low;
	if (!quoted)
		return 0;
	if (!strncmp(r->at, "..", 2)) {
		r->at += 2;
		if (read_number(r, key, range->low, high, &range->high))
			return -1;
	}
	if (*r->at != quote)
		return WRONG(r, "%s needs a number or a range like \"2..5\"", key);
	r->at++;
	return 0;
}

static int read_value(struct reader *r, struct rule *rule, const char *key)
{
	int64_t n = 0;
	int wrong = 0;

#define IS(text) (!strcmp(key, text))
	if (IS("name"))
		return read_string(r, key, rule->name);
	if (IS("entry"))
		return read_string(r, key, rule->entry);
	if (IS("nice"))
		return read_range(r, key, -20, 19, &rule->nice);
	if (IS("order"))
		return read_range(r, key, 0, UINT32_MAX, &rule->order);
	if (IS("class")) {
		wrong = read_number(r, key, 0, UINT16_MAX, &n);
		rule->klass = (uint16_t)n;
	} else if (IS("tenant")) {
		wrong = read_number(r, key, 0, UMCG_TENANTS - 1, &n);
		rule->tenant = (uint16_t)n;
	} else if (IS("priority")) {
		wrong = read_number(r, key, INT32_MIN, INT32_MAX, &n);
		rule->priority = (int32_t)n;
	} else if (IS("weight")) {
		wrong = read_number(r, key, 1, UMCG_WEIGHT_MAX, &n);
		rule->weight = (uint32_t)n;
		rule->has_weight = true;
	} else if (IS("deadline_us")) {
		wrong = read_number(r, key, 1, INT64_MAX / 1000, &n);
		rule->deadline_us = (uint64_t)n;
	} else {
		return WRONG(r, "there is no %s; there are name, entry, nice, order (who is meant) and "
			     "class, priority, weight, tenant, deadline_us (what it gets)", key);
	}
#undef IS
	return wrong;
}

static int begin_rule(struct reader *r, struct rules *rules, int line)
{
	static const char head[] = "[[class]]";
	struct rule *rule;

	if (strncmp(r->at, head, sizeof(head) - 1))
		return WRONG(r, "the only tables are %s", head);
	r->at += sizeof(head) - 1;
	if (rules->count == RULES)
		return WRONG(r, "there are more than %d rules", RULES);
	rule = &rules->rule[rules->count++];
	memset(rule, 0, sizeof(*rule));
	rule->line = line;
	rule->nice = (struct range){ -20, 19 };
	rule->order = (struct range){ 0, UINT32_MAX };
	return 0;
}

static int read_line(struct reader *r, struct rules *rules, int line)
{
	char key[RULE_TEXT];
	size_t n = 0;

	if (is_over(r))
		return 0;
	if (*r->at == '[') {
		if (begin_rule(r, rules, line))
			return -1;
	} else {
		for (; isalnum((unsigned char)*r->at) || *r->at == '_' || *r->at == '-'; r->at++)
			if (n < sizeof(key) - 1)
				key[n++] = *r->at;
		key[n] = 0;
		skip_blanks(r);
		if (!n || *r->at != '=')
			return WRONG(r, "expected [[class]] or KEY = VALUE");
		r->at++;
		skip_blanks(r);
		if (!rules->count)
			return WRONG(r, "%s stands before the first [[class]]", key);
		if (read_value(r, &rules->rule[rules->count - 1], key))
			return -1;
	}
	return is_over(r) ? 0 : WRONG(r, "there is something behind the value");
}

int rules_read(struct rules *rules, const char *text, char *why, size_t size)
{
	int line = 1;

	rules->count = 0;
	for (; text; line++) {
		struct reader r = { .at = text, .why = why, .size = size };

		if (read_line(&r, rules, line))
			return line;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return 0;
}

/* Does @text match @pattern, in which * stands for any text and ? for any one byte? */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *again = text;

	for (;;) {
		if (*pattern == '*') {
			star = pattern++;
			again = text;
		} else if (*text && (*pattern == '?' || *pattern == *text)) {
			pattern++;
			text++;
		} else if (!*text && !*pattern) {
			return true;
		} else if (star && *again) {
			pattern = star + 1;
			text = ++again;
		} else {
			return false;
		}
	}
}

static bool is_in(const struct range *range, int64_t value)
{
	return range->low <= value && value <= range->high;
}

const struct rule *rules_find(const struct rules *rules, const struct subject *subject)
{
	for (int i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];

		if ((!rule->name[0] || matches(rule->name, subject->name)) &&
		    (!rule->entry[0] || matches(rule->entry, subject->entry)) &&
		    is_in(&rule->nice, subject->nice) && is_in(&rule->order, subject->order))
			return rule;
	}
	return NULL;
}
