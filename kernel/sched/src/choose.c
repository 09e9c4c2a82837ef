// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A policy by what the user wrote: a name, or a shared object. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <umcg-host.h>

/*
 * Weak: a static program can do without it (ld --wrap=dlopen), and then it is NULL. What the
 * C library has for static programs works only beside the very same one installed.
 */
#pragma weak dlopen

static bool is_file(const char *text, size_t length)
{
	return memchr(text, '/', length) || (length > 3 && !memcmp(text + length - 3, ".so", 3));
}

static int find(const char *text, size_t length, struct umcg_choice *choice, char *why)
{
	size_t used;

	for (const struct umcg_policy *const *p = umcg_policies; *p; p++)
		if (strlen((*p)->name) == length && !memcmp((*p)->name, text, length)) {
			choice->policy = *p;
			return 0;
		}
	used = (size_t)snprintf(why, UMCG_SENTENCE / 2, "there is no policy \"%.*s\"; there are",
				(int)(length < 100 ? length : 100), text);
	for (const struct umcg_policy *const *p = umcg_policies; *p; p++)
		used += (size_t)snprintf(why + used, UMCG_SENTENCE - used, "%s %s",
					 p == umcg_policies ? "" : ",", (*p)->name);
	snprintf(why + used, UMCG_SENTENCE - used,
		 " (a file of your own is named by its path, ./NAME.so)");
	return -1;
}

static int open_file(const char *text, size_t length, struct umcg_choice *choice, char *why)
{
	const struct umcg_policy *const *policy;
	char path[4096];

	if (length >= sizeof(path) - 2) {
		snprintf(why, UMCG_SENTENCE, "the path of the policy is too long");
		return -1;
	}
	/* dlopen() looks for a bare name in the system's folders. */
	snprintf(path, sizeof(path), "%s%.*s", memchr(text, '/', length) ? "" : "./", (int)length, text);
	if (access(path, R_OK)) {
		snprintf(why, UMCG_SENTENCE, "cannot read the policy %.400s: %s", path,
			 strerror(errno));
		return -1;
	}
	if (!dlopen) {
		snprintf(why, UMCG_SENTENCE, "a static program cannot load the policy %.400s "
			 "(link it dynamically, or the policy into it)", path);
		return -1;
	}
	choice->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!choice->object) {
		snprintf(why, UMCG_SENTENCE, "this is no shared object that can be loaded: %.400s", dlerror());
		return -1;
	}
	policy = dlsym(choice->object, "umcg_policy_exported");
	if (!policy || !*policy) {
		snprintf(why, UMCG_SENTENCE, "%.400s is a shared object without a policy in it "
			 "(UMCG_POLICY() of umcg-policy.h makes one)", path);
		umcg_unchoose(choice);
		return -1;
	}
	choice->policy = *policy;
	if (umcg_policy_check(choice->policy, path, why)) {
		umcg_unchoose(choice);
		return -1;
	}
	return 0;
}

int umcg_choose(const char *text, struct umcg_choice *choice, char *why)
{
	const char *slash = strrchr(text, '/'), *name = slash ? slash + 1 : text;
	size_t length = (size_t)(name - text) + strcspn(name, ":");

	memset(choice, 0, sizeof(*choice));
	choice->options = text[length] ? text + length + 1 : text + length;
	return (is_file(text, length) ? open_file : find)(text, length, choice, why);
}

void umcg_unchoose(struct umcg_choice *choice)
{
	if (choice->object)
		dlclose(choice->object);
	memset(choice, 0, sizeof(*choice));
}
