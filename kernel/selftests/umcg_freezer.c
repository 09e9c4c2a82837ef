// SPDX-License-Identifier: MIT
/*
 * The cgroup freezer stops a group of every kind of task and lets it go on.
 * "frozen 1" appears only when every thread has got there, idle workers too.
 * That of cgroup v1 is the one that suspends machines, and takes single threads.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "libraw.h"
#include "libbusy.h"

static struct busy *busy;
static char group[128];

static void file(const char *name, const char *value)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	write_file(path, "%s", value);
}

static bool frozen(void)
{
	char path[200], buf[128] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.events", group);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, sizeof(buf) - 1) > 0);
	close(fd);
	return strstr(buf, "frozen 1");
}

static void runs(void *arg)
{
	(void)arg;
	busy_start(busy);
	WAIT_FOR(busy->stop);
	busy_stop(busy);
}

static long sum(void)
{
	long n = 0;

	for (int i = 0; i < BUSY_TASKS; i++)
		n += busy->steps[i];
	return n;
}

static void freeze_and_thaw(pid_t pid)
{
	for (int i = 0; i < 10; i++) {
		long before;

		busy_progress(busy);
		file("cgroup.freeze", "1");
		WAIT_FOR(frozen());
		before = sum();
		usleep(5000);
		CHECK_EQ(sum(), before);
		/* Signals that are not fatal wait, too. */
		if (i % 2)
			kill(pid, SIGWINCH);
		file("cgroup.freeze", "0");
		WAIT_FOR(!frozen());
	}
	busy_progress(busy);
	busy->stop = true;
	CHECK_EQ(child_wait(pid), 0);
}

static void killed_while_frozen(pid_t pid)
{
	busy_progress(busy);
	file("cgroup.freeze", "1");
	WAIT_FOR(frozen());
	kill(pid, SIGKILL);
	CHECK_EQ(child_wait(pid), SIGKILL);
	file("cgroup.freeze", "0");
}

static void old_file(const char *dir, const char *name, const char *fmt, int value)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	write_file(path, fmt, value);
}

static void old_wait(const char *state)
{
	char path[300], buf[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/freezer.state", group);
	do {
		usleep(500);
		fd = open(path, O_RDONLY);
		CHECK(fd >= 0);
		n = read(fd, buf, sizeof(buf));
		CHECK(n > 0);
		close(fd);
	} while (strncmp(buf, state, strlen(state)));
}

/* Some of the threads freeze, and the others hand over to them meanwhile. */
static void some_threads(void)
{
	const char *root = "/tmp/umcg-freezer";
	uint32_t seed = 1;
	pid_t pid;

	mkdir(root, 0700);
	if (mount("none", root, "cgroup", 0, "freezer")) {
		raw_note("left out: no freezer of cgroup v1");
		return;
	}
	snprintf(group, sizeof(group), "%s/umcg-%d", root, getpid());
	CHECK_EQ(mkdir(group, 0755), 0);
	memset(busy, 0, sizeof(*busy));
	pid = child_start(runs, NULL);
	for (int k = 0; k < BUSY_TASKS; k++)
		WAIT_FOR(busy->tid[k]);
	for (int i = 0; i < 20; i++) {
		busy_progress(busy);
		for (int k = 0; k < BUSY_TASKS; k++)
			old_file(raw_random(&seed) % 2 ? group : root, "tasks", "%d", busy->tid[k]);
		old_file(group, "freezer.state", "FROZEN", 0);
		old_wait("FROZEN");
		usleep(raw_random(&seed) % 5000);
		old_file(group, "freezer.state", "THAWED", 0);
		old_wait("THAWED");
	}
	busy_progress(busy);
	busy->stop = true;
	CHECK_EQ(child_wait(pid), 0);
	WAIT_FOR(!rmdir(group));
	umount(root);
}

int main(void)
{
	void (*tests[])(pid_t pid) = { freeze_and_thaw, killed_while_frozen };

	raw_start();
	if (getuid())
		raw_skip("needs root, to mount cgroup2");
	busy = map_pages(1, MAP_SHARED);
	snprintf(group, sizeof(group), "%s/umcg-%d", mount_private("cgroup2"), getpid());
	CHECK_EQ(mkdir(group, 0755), 0);
	for (int i = 0; i < 2; i++) {
		char buf[16];
		pid_t pid;

		memset(busy, 0, sizeof(*busy));
		pid = child_start(runs, NULL);
		snprintf(buf, sizeof(buf), "%d", pid);
		file("cgroup.procs", buf);
		WAIT_FOR(busy->tid[BUSY_TASKS - 1] && busy->tid[0]);
		tests[i](pid);
	}
	WAIT_FOR(!rmdir(group));
	RUN(some_threads);
	return 0;
}
