// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/stat.h>

#include "libgroup.h"
#include "libraw.h"

static char group[96];
static int quota_percent;

void group_make(int percent)
{
	const char *root = mount_private("cgroup2");
	char path[120];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	write_file(path, "+cpu");
	snprintf(group, sizeof(group), "%s/umcg-%d", root, getpid());
	CHECK_EQ(mkdir(group, 0755), 0);
	snprintf(path, sizeof(path), "%s/cpu.max", group);
	write_file(path, "%d 100000", percent * 1000);
	quota_percent = percent;
}

void group_enter(void)
{
	char path[120];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	write_file(path, "%d", getpid());
}

uint64_t group_ns(void)
{
	unsigned long long us;
	char path[120];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cpu.stat", group);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "usage_usec %llu", &us) == 1);
	fclose(f);
	return us * 1000;
}

void group_check_quota(uint64_t ns)
{
	uint64_t used, start, took;

	nap(NS_PER_S / 2);	/* what it had saved */
	used = group_ns();
	start = now_ns(CLOCK_MONOTONIC);
	nap(ns);
	used = group_ns() - used;
	took = now_ns(CLOCK_MONOTONIC) - start;
	printf("    %.1f %% of a CPU at a quota of %d %%\n", 100.0 * used / took, quota_percent);
	fflush(stdout);
	if (used * 100 > took * quota_percent * 3 / 2)
		FAIL("the quota does not hold");
}

void group_remove(void)
{
	WAIT_FOR(!rmdir(group));
}

static void busy_in_group(void *arg)
{
	group_enter();
	(*(void (**)(void))arg)();
	for (;;)
		pause();
}

void group_try_quota(int percent, void (*busy)(void), uint64_t ns)
{
	pid_t pid;

	if (getuid())
		raw_skip("needs root, to mount cgroup2");
	group_make(percent);
	pid = child_start(busy_in_group, &busy);
	group_check_quota(ns);
	kill(pid, SIGKILL);
	child_wait(pid);
	group_remove();
}
