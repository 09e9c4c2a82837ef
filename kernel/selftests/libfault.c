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

#define PAGE	4096

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
	p->size = PAGE;
	p->page = map_pages(1, 0);
	p->fd = open_uffd(0);
	reg.range.start = (uint64_t)p->page;
	reg.range.len = PAGE;
	CHECK_EQ(ioctl(p->fd, UFFDIO_REGISTER, &reg), 0);
}

void slow_shared_page(struct slow_page *p)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR };

	p->shared = true;
	p->size = PAGE;
	p->page = map_pages(1, MAP_SHARED);
	memset(p->page, 0, PAGE);	/* in the page cache: faults are minor from now on */
	p->fd = open_uffd(UFFD_FEATURE_MINOR_SHMEM);
	reg.range.start = (uint64_t)p->page;
	reg.range.len = PAGE;
	CHECK_EQ(ioctl(p->fd, UFFDIO_REGISTER, &reg), 0);
}

void slow_written_page(struct slow_page *p)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };

	p->shared = false;
	p->size = 2 * PAGE;
	p->page = map_pages(2, 0);
	memset(p->page, 0, p->size);	/* only a page that is there can be protected */
	p->fd = open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	reg.range.start = (uint64_t)p->page + PAGE;
	reg.range.len = PAGE;
	CHECK_EQ(ioctl(p->fd, UFFDIO_REGISTER, &reg), 0);
}

static void write_protect(struct slow_page *p, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uint64_t)p->page + PAGE, .len = PAGE }, .mode = mode,
	};

	CHECK_EQ(ioctl(p->fd, UFFDIO_WRITEPROTECT, &wp), 0);
}

void slow_page_protect(struct slow_page *p)
{
	write_protect(p, UFFDIO_WRITEPROTECT_MODE_WP);
}

void slow_page_open(struct slow_page *p)
{
	write_protect(p, UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}

void slow_page_resume(struct slow_page *p)
{
	struct uffdio_range range = { .start = (uint64_t)p->page + PAGE, .len = PAGE };

	CHECK_EQ(ioctl(p->fd, UFFDIO_WAKE, &range), 0);
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
	static char filled[PAGE] __attribute__((aligned(PAGE))) = { 'p', 'a', 'g', 'e' };

	if (p->shared) {
		struct uffdio_continue c = {
			.range = { .start = (uint64_t)p->page, .len = PAGE },
		};

		/* EEXIST: another task's fault has been answered already. */
		CHECK(ioctl(p->fd, UFFDIO_CONTINUE, &c) == 0 || errno == EEXIST);
	} else {
		struct uffdio_copy c = {
			.dst = (uint64_t)p->page, .src = (uint64_t)filled, .len = PAGE,
		};

		CHECK_EQ(ioctl(p->fd, UFFDIO_COPY, &c), 0);
	}
}

void slow_page_free(struct slow_page *p)
{
	munmap(p->page, p->size);
	close(p->fd);
}
