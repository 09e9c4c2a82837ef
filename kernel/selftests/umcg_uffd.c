// SPDX-License-Identifier: MIT
/*
 * Page faults that a userfaultfd never answers: 300 servers that cannot be told of
 * their workers' blocks harm only their own process. Another process' late block is
 * told, a killed process is gone at once, whenever it is killed, and so is its memory.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "libcrowd.h"

#define PAGE		4096
#define BALLAST_MB	100
#define KILLS		10

static struct crowd crowd;

static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		raw_skip("needs userfaultfd (CONFIG_USERFAULTFD, root): %s", strerror(errno));
	CHECK_EQ(ioctl(fd, UFFDIO_API, &api), 0);
	return fd;
}

/* The faults of the pages go to a file descriptor that no task reads. */
static void unserved(void *arg)
{
	struct crowd *c = arg;
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = open_uffd();

	c->pages = map_pages(c->size, 0);
	memset(c->pages, 0, c->size * PAGE);
	reg.range.start = (uint64_t)c->pages;
	reg.range.len = c->size * PAGE;
	CHECK_EQ(ioctl(fd, UFFDIO_REGISTER, &reg), 0);
	crowd_block(c);
}

int main(void)
{
	uint32_t seed = 1;
	uint64_t took;
	long before;
	pid_t pid;

	raw_start();
	close(open_uffd());
	crowd.blocked = map_pages(1, MAP_SHARED);
	crowd.size = 300;
	crowd.ballast = BALLAST_MB << 20;
	before = used_mb();
	took = now_ns(CLOCK_MONOTONIC);
	pid = child_start(unserved, &crowd);
	crowd_wait(&crowd, pid);
	took = now_ns(CLOCK_MONOTONIC) - took;
	check_told("300 workers have blocked, their servers cannot be told");
	kill(pid, SIGKILL);
	child_wait(pid);
	check_told("killed");
	WAIT_FOR(used_mb() < before + BALLAST_MB / 2);

	raw_note("killed at any point");
	crowd.ballast = 0;
	for (int i = 0; i < KILLS; i++) {
		*crowd.blocked = 0;
		pid = child_start(unserved, &crowd);
		nap(raw_random(&seed) % (took + took / 4));
		kill(pid, SIGKILL);
		child_wait(pid);
	}
	check_told("after all");
	return 0;
}
