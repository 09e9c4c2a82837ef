// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Options of a policy: key=value,key=value against its table. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <umcg-host.h>

__attribute__((format(printf, 2, 3)))
static int say(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, UMCG_SENTENCE, format, args);
	va_end(args);
	return -1;
}

static uint64_t *place_of(const struct umcg_option *option, void *data, uint32_t index)
{
	return (uint64_t *)(void *)((char *)data + option->offset) + index;
}

static void set_others(const struct umcg_option *option, void *data)
{
	for (; option && option->name; option++)
		for (uint32_t i = 0; i < (option->count ? option->count : 1); i++)
			*place_of(option, data, i) = option->otherwise;
}

/* The option that the @length bytes at @key name, and which of its values. */
static const struct umcg_option *find(const struct umcg_option *option, const char *key,
				      size_t length, uint32_t *index)
{
	for (; option && option->name; option++) {
		size_t name = strlen(option->name);
		unsigned long number = 0;

		*index = 0;
		if (length < name || memcmp(key, option->name, name))
			continue;
		if (!option->count) {
			if (length == name)
				return option;
			continue;
		}
		for (size_t i = name; i < length && isdigit((unsigned char)key[i]); i++)
			if (number < option->count)
				number = number * 10 + (unsigned long)(key[i] - '0');
		if (length > name && strspn(key + name, "0123456789") >= length - name &&
		    number < option->count) {
			*index = (uint32_t)number;
			return option;
		}
	}
	return NULL;
}

static int unknown(const struct umcg_policy *policy, const char *key, size_t length, char *why)
{
	char names[UMCG_SENTENCE / 2] = "";
	size_t used = 0;

	for (const struct umcg_option *o = policy->options; o && o->name; o++)
		used += (size_t)snprintf(names + used, used < sizeof(names) ? sizeof(names) - used : 0,
					 "%s%s%s", used ? ", " : "", o->name, o->count ? "N" : "");
	if (!used)
		return say(why, "policy %s takes no options, and \"%.*s\" is given", policy->name,
			   (int)length, key);
	return say(why, "policy %s has no option \"%.*s\"; it has %s", policy->name, (int)length,
		   key, names);
}

static int read_choice(const struct umcg_option *option, const char *key, int key_length,
		       const char *value, size_t length, uint64_t *place, char *why)
{
	const char *choice = option->choices;

	for (uint64_t index = 0; ; index++) {
		size_t size = strcspn(choice, "|");

		if (size == length && !memcmp(choice, value, length)) {
			*place = index;
			return 0;
		}
		if (!choice[size])
			break;
		choice += size + 1;
	}
	return say(why, "option %.*s=%.*s: it has to be one of %s", key_length, key, (int)length,
		   value, option->choices);
}

static int read_value(const struct umcg_option *option, const char *key, int key_length,
		      const char *value, size_t length, uint64_t *place, char *why)
{
	unsigned long long number;
	char *end;

	if (option->choices)
		return read_choice(option, key, key_length, value, length, place, why);
	errno = 0;
	number = strtoull(value, &end, 10);
	if (!length || !isdigit((unsigned char)*value) || end != value + length || errno ||
	    number < option->min || number > option->max)
		return say(why, "option %.*s=%.*s: it has to be a whole number from %llu to %llu",
			   key_length, key, (int)length, value, (unsigned long long)option->min,
			   (unsigned long long)option->max);
	*place = number;
	return 0;
}

int umcg_policy_options(const struct umcg_policy *policy, const char *text, void *data, char *why)
{
	set_others(policy->options, data);
	while (text && *text) {
		size_t whole = strcspn(text, ","), key = strcspn(text, "=,");
		const struct umcg_option *option;
		uint32_t index;

		if (key == whole)
			return say(why, "options of policy %s are NAME=VALUE with commas between "
				   "them, and \"%.*s\" is not", policy->name, (int)whole, text);
		option = find(policy->options, text, key, &index);
		if (!option)
			return unknown(policy, text, key, why);
		if (read_value(option, text, (int)key, text + key + 1, whole - key - 1,
			       place_of(option, data, index), why))
			return -1;
		text += whole;
		text += *text == ',';
	}
	return 0;
}
