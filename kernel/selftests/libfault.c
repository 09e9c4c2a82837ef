// SPDX-License-Identifier: MIT
/* Page faults that last as long as the test wants, by userfaultfd. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "libraw.h"
#include "libfault.h"

static int open_uffd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		raw_skip("needs userfaultfd (CONFIG_USERFAULTFD, root): %s", strerror(errno));
	CHECK_EQ(ioctl(fd, UFFDIO_API, &api), 0);
	return fd;
}

void slow_page(struct slow_page *p)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	p->shared = false;
	p->page = map_pages(1, 0);
	p->fd = open_uffd(0);
	reg.range.start = (uint64_t)p->page;
	reg.range.len = 4096;
	CHECK_EQ(ioctl(p->fd, UFFDIO_REGISTER, &reg), 0);
}

void slow_shared_page(struct slow_page *p)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR };

	p->shared = true;
	p->page = map_pages(1, MAP_SHARED);
	memset(p->page, 0, 4096);	/* in the page cache: faults are minor from now on */
	p->fd = open_uffd(UFFD_FEATURE_MINOR_SHMEM);
	reg.range.start = (uint64_t)p->page;
	reg.range.len = 4096;
	CHECK_EQ(ioctl(p->fd, UFFDIO_REGISTER, &reg), 0);
}

void slow_page_wait(struct slow_page *p)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	struct uffd_msg msg;

	CHECK_EQ(poll(&pfd, 1, -1), 1);
	CHECK_EQ(read(p->fd, &msg, sizeof(msg)), sizeof(msg));
	CHECK_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
}

void slow_page_resolve(struct slow_page *p)
{
	static char filled[4096] __attribute__((aligned(4096))) = { 'p', 'a', 'g', 'e' };

	if (p->shared) {
		struct uffdio_continue c = {
			.range = { .start = (uint64_t)p->page, .len = 4096 },
		};

		/* EEXIST: somebody else's fault has been answered already. */
		CHECK(ioctl(p->fd, UFFDIO_CONTINUE, &c) == 0 || errno == EEXIST);
	} else {
		struct uffdio_copy c = {
			.dst = (uint64_t)p->page, .src = (uint64_t)filled, .len = 4096,
		};

		CHECK_EQ(ioctl(p->fd, UFFDIO_COPY, &c), 0);
	}
}

void slow_page_free(struct slow_page *p)
{
	munmap(p->page, 4096);
	close(p->fd);
}
