// SPDX-License-Identifier: MIT
/*
 * Page faults that a FUSE file system never answers, such as any user may mount:
 * 300 servers that cannot be told of their workers' blocks harm only their own
 * process. Another process' late block is told, a killed process is gone at once,
 * while the file system still does not answer, and so is its memory.
 */
#include <signal.h>
#include <sys/mman.h>

#include "libcrowd.h"
#include "libslowfs.h"

#define MEMBERS		300
#define BALLAST_MB	100
#define KILLED		3		/* processes with that ballast */

static volatile int *silence;
static struct crowd crowd;

static void falls_silent(void)
{
	*silence = 100;
}

static void unserved(void *arg)
{
	struct crowd *c = arg;

	become_user();
	c->pages = slow_files_map(c->size);
	crowd_block(c);
}

static pid_t mount_files(void)
{
	pid_t pid;

	*silence = 0;
	pid = slow_files_mount(silence);
	if (!pid)
		raw_skip("cannot mount FUSE (CONFIG_FUSE_FS, root): %s", strerror(errno));
	return pid;
}

static pid_t start_crowd(long size, size_t ballast_mb)
{
	*crowd.blocked = 0;
	crowd.size = size;
	crowd.mute = falls_silent;
	crowd.ballast = ballast_mb << 20;
	return child_start(unserved, &crowd);
}

int main(void)
{
	pid_t files, pid;
	long before;

	raw_start();
	if (getuid())
		raw_skip("needs root, to mount for a user");
	mount_private("tmpfs");		/* so that nothing of it stays mounted */
	silence = map_pages(1, MAP_SHARED);
	crowd.blocked = map_pages(1, MAP_SHARED);

	files = mount_files();
	check_told("before");
	pid = start_crowd(MEMBERS, 0);
	crowd_wait(&crowd, pid);
	check_told("300 workers have blocked, their servers cannot be told");
	kill(pid, SIGKILL);
	child_wait(pid);
	check_told("killed, the file system still silent");
	slow_files_unmount(files);

	raw_note("memory of killed processes");
	before = used_mb();
	for (int i = 0; i < KILLED; i++) {
		files = mount_files();
		pid = start_crowd(1, BALLAST_MB);
		crowd_wait(&crowd, pid);
		kill(pid, SIGKILL);
		child_wait(pid);
		WAIT_FOR(used_mb() < before + BALLAST_MB / 2);
		slow_files_unmount(files);
	}
	return 0;
}
