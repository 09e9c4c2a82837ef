// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* policy_choice FOLDER: what users write, right and wrong; FOLDER has shared objects made of tests/objects. */
#include <stdio.h>
#include <string.h>

#include "stage.h"

static void refused(const char *choice, const char *part)
{
	const char *said = stage_refused(choice);

	CHECK(strstr(said, part), "%s: \"%s\", and not \"%s\"", choice, said, part);
	CHECK(!strchr(said, '\n') && strlen(said) < UMCG_SENTENCE - 1, "one sentence: %s", said);
}

static void test_names(void)
{
	char why[UMCG_SENTENCE];

	for (int i = 0; umcg_policies[i]; i++) {
		const struct umcg_policy *policy = umcg_policies[i];

		CHECK(!umcg_policy_check(policy, policy->name, why), "%s", why);
		CHECK(policy->summary && *policy->summary && policy->dump, "%s", policy->name);
		for (const struct umcg_option *o = policy->options; o && o->name; o++)
			CHECK(o->help && o->otherwise >= o->min && o->otherwise <= o->max &&
			      o->offset + sizeof(uint64_t) <= policy->sched_size,
			      "%s: option %s", policy->name, o->name);
		stage_open(policy->name, 2);
	}
	refused("nonesuch", "there is no policy \"nonesuch\"; there are fifo, ");
	refused("", "there is no policy \"\"");
}

static void test_options(void)
{
	stage_open("las:quantum_us=5,wait_ms=0", 1);
	CHECK(*(uint64_t *)umcg_sched_data(stage_sched()) == 5, "quantum_us");
	refused("fifo:slice_us=1", "policy fifo takes no options, and \"slice_us\" is given");
	refused("las:slice_us=1", "policy las has no option \"slice_us\"; it has quantum_us, wait_ms");
	refused("las:quantum_us", "NAME=VALUE");
	refused("las:quantum_us=", "quantum_us=: it has to be a whole number from 1 to 1000000000");
	refused("las:quantum_us=0", "from 1");
	refused("las:quantum_us=-5", "whole number");
	refused("las:quantum_us=1ms,wait_ms=3", "quantum_us=1ms");
	refused("las:quantum_us=99999999999999999999999", "whole number");
}

static void test_files(const char *folder)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/mine.so", folder);
	stage_open(path, 1);
	CHECK(!strcmp(stage_sched()->policy->name, "mine"), "%s", stage_sched()->policy->name);
	snprintf(path, sizeof(path), "%s/mine.so:first=no", folder);
	stage_open(path, 1);
	snprintf(path, sizeof(path), "%s/mine.so:first=perhaps", folder);
	refused(path, "option first=perhaps: it has to be one of yes|no");
	snprintf(path, sizeof(path), "%s/mine.so:cpus3=7,cpus0=1", folder);
	stage_open(path, 1);
	CHECK(((uint64_t *)umcg_sched_data(stage_sched()))[4] == 7, "cpus3");
	snprintf(path, sizeof(path), "%s/mine.so:cpus4=7", folder);
	refused(path, "no option \"cpus4\"; it has first, cpusN");
	snprintf(path, sizeof(path), "%s/old.so", folder);
	refused(path, "compiled for version 0 of the policy interface, and this is version 1");
	snprintf(path, sizeof(path), "%s/none.so", folder);
	refused(path, "shared object without a policy");
	snprintf(path, sizeof(path), "%s/half.so", folder);
	refused(path, "has no next()");
	snprintf(path, sizeof(path), "%s/text.so", folder);
	refused(path, "no shared object that can be loaded");
	snprintf(path, sizeof(path), "%s/missing.so", folder);
	refused(path, "No such file");
	refused("missing.so", "./missing.so");
}

int main(int argc, char **argv)
{
	test_names();
	test_options();
	if (argc > 1)
		test_files(argv[1]);
	return 0;
}
