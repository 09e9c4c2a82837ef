// SPDX-License-Identifier: MIT
/*
 * Control groups under tasks that switch to each other: the two sides of a hand-off
 * in different groups, groups that change their weights and run out of their quota.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "libraw.h"
#include "libbusy.h"

/*
 * No task is in the third one, which has a quota all the time: the kernel patches its
 * code when the first group gets one and when the last one loses it, and an emulated
 * CPU (QEMU 7.2) that runs just there can go on with the code of in between for good.
 */
#define USED	2
#define LEAVES	3

static char root[64], group[96], leaf[LEAVES][128];

static void file(const char *dir, const char *name, const char *fmt, long a, long b)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	write_file(path, fmt, a, b);
}

static bool has_cpu_controller(void)
{
	char path[100], buf[256] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	return strstr(buf, "cpu");
}

/* Threads of one process in groups of their own: the kernel calls them threaded. */
static void make_groups(void)
{
	file(root, "cgroup.subtree_control", "+cpu", 0, 0);
	snprintf(group, sizeof(group), "%s/umcg-%d", root, getpid());
	CHECK_EQ(mkdir(group, 0755), 0);
	for (int i = 0; i < LEAVES; i++) {
		snprintf(leaf[i], sizeof(leaf[i]), "%s/%d", group, i);
		CHECK_EQ(mkdir(leaf[i], 0755), 0);
		file(leaf[i], "cgroup.type", "threaded", 0, 0);
	}
	file(group, "cgroup.procs", "0", 0, 0);
	file(group, "cgroup.subtree_control", "+cpu", 0, 0);
	file(leaf[USED], "cpu.max", "%ld %ld", 10000, 10000);
}

static void remove_groups(void)
{
	file(root, "cgroup.procs", "0", 0, 0);
	for (int i = 0; i < LEAVES; i++)
		WAIT_FOR(!rmdir(leaf[i]));
	WAIT_FOR(!rmdir(group));
}

/* 2 to 8 ms of every 10, or as much as there is. */
static void quota(int i, uint32_t *seed)
{
	if (raw_random(seed) % 2)
		file(leaf[i], "cpu.max", "%ld %ld", 2000 + raw_random(seed) % 6000, 10000);
	else
		file(leaf[i], "cpu.max", "max", 0, 0);
}

int main(int argc, char **argv)
{
	static struct busy busy;
	uint32_t seed = 1;
	long rounds;

	raw_start();
	rounds = raw_number(argc, argv, "ROUNDS", 20);
	if (getuid())
		raw_skip("needs root, to mount cgroup2");
	snprintf(root, sizeof(root), "%s", mount_private("cgroup2"));
	if (!has_cpu_controller())
		raw_skip("no cpu controller in cgroup2");
	make_groups();
	busy_start(&busy);
	for (int i = 0; i < rounds; i++) {
		for (int k = 0; k < BUSY_TASKS; k++)
			file(leaf[raw_random(&seed) % USED], "cgroup.threads", "%ld", busy.tid[k], 0);
		for (int k = 0; k < USED; k++) {
			file(leaf[k], "cpu.weight", "%ld", 1 + raw_random(&seed) % 10000, 0);
			if (i % 4 == 3)
				quota(k, &seed);
		}
		busy_progress(&busy);
	}
	/* All of them in one, without a limit, as before. */
	file(leaf[0], "cpu.max", "max", 0, 0);
	for (int k = 0; k < BUSY_TASKS; k++)
		file(leaf[0], "cgroup.threads", "%ld", busy.tid[k], 0);
	busy_progress(&busy);
	busy_stop(&busy);
	remove_groups();
	return 0;
}
